// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/stack"
)

// TestSink is a LogSink's life: its records arrive, it goes down and holds up
// nobody, a Connection that waits for it refuses, and when it is back every
// record is there once, as the witness knows them (checklist 44).
func TestSink(t *testing.T) {
	receiver, err := world.StartReceiver(t.Context(), "intake")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := receiver.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := receiver.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		setDurability(t, "")
		if err := receiver.Remove(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	s := login(t, alice)
	s.Must(t, "SELECT 'to the intake'")
	await(t, "the records at the receiver", func(context.Context) error { return has(receiver, "to the intake") })
	await(t, "the LogSink's status", func(ctx context.Context) error { return reachable(ctx, receiver.Name, metav1.ConditionTrue, "") })

	// A sink that is down holds up nobody, and says so.
	if err := receiver.Kill(); err != nil {
		t.Fatal(err)
	}
	s.Must(t, "SELECT 'while it is down'")
	await(t, "the status of a LogSink that is down", func(ctx context.Context) error {
		return reachable(ctx, receiver.Name, metav1.ConditionFalse, "connection refused")
	})
	await(t, "the records at the other sink", func(context.Context) error {
		_, err := found(func(d record.Document) bool {
			return d.Operation != nil && strings.Contains(d.Operation.Statement, "while it is down")
		})
		return err
	})

	// A Connection that wants records off the machine first does without nothing.
	setDurability(t, v1alpha1.AuditDurabilityRemote)
	began := time.Now()
	_, err = s.Run(t.Context(), "SELECT 'not without a record'")
	wants(t, refusal(t, err), codeCannotConnectNow, "record could not be written", "kubectl -n shop describe connection shop-db")
	t.Logf("refused after %v", time.Since(began).Round(time.Millisecond))
	if n := timesExecuted(t, "not without a record"); n != 0 {
		t.Errorf("executed %d times, and no sink had its record", n)
	}

	if err := receiver.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "a statement with a remote record", func(ctx context.Context) error {
		_, err := s.Run(ctx, "SELECT 'with a record elsewhere'")
		return err
	})
	if err := has(receiver, "with a record elsewhere"); err != nil {
		t.Errorf("executed, and the remote sink did not have its record: %v", err)
	}
	setDurability(t, "")
	s.Leave(t)
	await(t, "the LogSink's status", func(ctx context.Context) error { return reachable(ctx, receiver.Name, metav1.ConditionTrue, "") })
	for _, text := range []string{"while it is down", "not without a record"} {
		if err := has(receiver, text); err != nil {
			t.Errorf("after the outage: %v", err)
		}
	}
	verified(t, receiver)
}

// verified runs the plugin on what the receiver has, against the witness of the
// cluster; then on a copy in which one record was changed.
func verified(t *testing.T, receiver *stack.Receiver) {
	t.Helper()
	t.Setenv("PATH", filepath.Dir(world.Plugin())+string(filepath.ListSeparator)+os.Getenv("PATH"))
	var content []byte
	await(t, "a log that the witness confirms", func(ctx context.Context) error {
		var err error
		if content, err = os.ReadFile(receiver.Records); err != nil {
			return fmt.Errorf("cannot read the receiver's records: %w", err)
		}
		out, err := verify(ctx, receiver.Records)
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if !strings.Contains(out, "agrees with the trusted checkpoint") {
			return fmt.Errorf("the verifier holds it against no checkpoint: %s", out)
		}
		return nil
	})
	var at int64 = -1
	for line := range bytes.Lines(content) {
		if bytes.Contains(line, []byte("'to the intake'")) {
			position, err := record.Head(line)
			if err != nil {
				t.Fatal(err)
			}
			at = position.Index
			break
		}
	}
	forged := t.TempDir() + "/forged.jsonl"
	if err := os.WriteFile(forged, bytes.Replace(content, []byte("'to the intake'"), []byte("'to the garden'"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := verify(t.Context(), forged)
	exit := &exec.ExitError{}
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, fmt.Sprint(at)) {
		t.Errorf("record %d was changed, the verifier says: %v: %s", at, err, out)
	}
}

func verify(ctx context.Context, path string) (string, error) {
	return world.Control.Kubectl(ctx, world.Control.Direct, "doorward", "audit", "verify", "--witness", "-n", stack.Namespace, path)
}

// has says whether a receiver has the decision on a statement.
func has(receiver *stack.Receiver, text string) error {
	content, err := os.ReadFile(receiver.Records)
	if err != nil {
		return fmt.Errorf("cannot read the receiver's records: %w", err)
	}
	if !bytes.Contains(content, []byte(text)) {
		return fmt.Errorf("the receiver has no record that holds %q", text)
	}
	return nil
}

// reachable says whether a LogSink's status does; a message must be shown too.
func reachable(ctx context.Context, name string, status metav1.ConditionStatus, message string) error {
	var sink v1alpha1.LogSink
	if err := world.Admin.Get(ctx, client.ObjectKey{Name: name}, &sink); err != nil {
		return fmt.Errorf("cannot read the LogSink: %w", err)
	}
	condition := meta.FindStatusCondition(sink.Status.Conditions, v1alpha1.ConditionReachable)
	switch {
	case condition == nil:
		return errors.New("the LogSink has no condition Reachable")
	case condition.Status != status:
		return fmt.Errorf("reachable is %s: %s: %s", condition.Status, condition.Reason, condition.Message)
	case sink.Status.Lag == nil:
		return errors.New("the LogSink has no lag yet")
	case status == metav1.ConditionTrue && *sink.Status.Lag != 0:
		return fmt.Errorf("%d records wait for the LogSink", *sink.Status.Lag)
	case status == metav1.ConditionFalse && (*sink.Status.Lag == 0 || !strings.Contains(fmt.Sprint(condition.Message, sink.Status.Proxies), message)):
		return fmt.Errorf("a LogSink that is down says: %d records wait, %s, %+v", *sink.Status.Lag, condition.Message, sink.Status.Proxies)
	}
	return nil
}

// setDurability sets the Connection's spec.audit.durability and waits until the
// proxy goes by it.
func setDurability(t *testing.T, durability v1alpha1.AuditDurability) {
	t.Helper()
	var revision int64
	await(t, "the Connection's durability", func(ctx context.Context) error {
		var connection v1alpha1.Connection
		if err := world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: stack.Connection}, &connection); err != nil {
			return fmt.Errorf("cannot read the Connection: %w", err)
		}
		was := v1alpha1.AuditDurability("")
		if connection.Spec.Audit != nil {
			was = connection.Spec.Audit.Durability
		}
		if was != durability {
			revision = connection.Status.Snapshot.Revision
			connection.Spec.Audit = nil
			if durability != "" {
				connection.Spec.Audit = &v1alpha1.AuditSettings{Durability: durability}
			}
			if err := world.Admin.Update(ctx, &connection); err != nil {
				return fmt.Errorf("cannot change the Connection: %w", err)
			}
			return errors.New("just changed")
		}
		if len(connection.Status.Proxies) == 0 || connection.Status.Proxies[0].Revision <= revision {
			return fmt.Errorf("the proxies do not run a revision after %d yet: %+v", revision, connection.Status.Proxies)
		}
		return nil
	})
}
