// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record/verify"
	"github.com/doorward/doorward/test/account"
	"github.com/doorward/doorward/test/stack"
)

// scene is a proxy under load, and the account that is kept of it.
type scene struct {
	label   string
	clients int
	proxy   *stack.Proxy
	load    *crowd
	target  *account.TargetLog
	trail   *trail
	// witness asks the target past the proxy.
	witness *pgconn.PgConn
	// readOverlap is how the Connection is set.
	readOverlap bool
}

// newScene puts a load on a proxy. The label must be the scene's own.
func newScene(t *testing.T, options loadOptions) *scene {
	t.Helper()
	info, err := os.Stat(world.PostgresLog())
	if err != nil {
		t.Fatal(err)
	}
	return &scene{
		label: options.label, clients: options.clients, proxy: options.proxy, load: startLoad(t, options),
		target:  account.NewTargetLog(world.PostgresLog(), info.Size(), options.label),
		witness: witness(t),
		trail:   newTrail(options.proxy.Spool, world.Records(), options.label),
	}
}

// launch runs the proxy again and does not wait.
func (s *scene) launch(t *testing.T) {
	t.Helper()
	if err := s.proxy.Launch(); err != nil {
		t.Fatal(err)
	}
}

// answers waits until the clients are answered again, and returns how long
// that took.
func (s *scene) answers(t *testing.T) time.Duration {
	t.Helper()
	_, before := s.load.heard.counts()
	return await(t, "answers to the clients", func(context.Context) error {
		if _, answered := s.load.heard.counts(); answered == before {
			return fmt.Errorf("none since %d", before)
		}
		return nil
	})
}

// all waits until every client has a session.
func (s *scene) all(t *testing.T) {
	t.Helper()
	await(t, "a session for each client", func(context.Context) error {
		if sessions, _ := s.load.heard.counts(); sessions < s.clients {
			return fmt.Errorf("%d of %d", sessions, s.clients)
		}
		return nil
	})
}

// kill ends the proxy as a crash does, waits until the target has done all it
// was sent, and compares.
func (s *scene) kill(t *testing.T) {
	t.Helper()
	if err := s.proxy.Kill(); err != nil {
		t.Fatal(err)
	}
	s.compare(t)
}

// compare reads all witnesses, of a proxy that does not run, and ends the test
// where something was executed that is not on record.
func (s *scene) compare(t *testing.T) {
	t.Helper()
	if err := errors.Join(awaitQuiet(t.Context(), s.witness, s.label), s.trail.read()); err != nil {
		t.Fatal(err)
	}
	s.judge(t)
}

func (s *scene) judge(t *testing.T) {
	t.Helper()
	if err := s.target.Read(); err != nil {
		t.Fatal(err)
	}
	rows, err := changed(t.Context(), s.witness, s.label)
	if err != nil {
		t.Fatal(err)
	}
	delivered, answered := s.load.heard.copied()
	a := account.Account{
		Executed: s.target.Executed, Changed: rows, Delivered: delivered, Answered: answered,
		Recorded: s.trail.recorded, Succeeded: s.trail.succeeded, ReadOverlap: s.readOverlap,
	}
	const most = 20
	for i, problem := range a.Problems() {
		if i == most {
			t.Error("... and more")
			break
		}
		t.Error(problem)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// settle lets the clients leave, waits until the sink has everything, and
// compares for the last time. The proxy runs, or has done so long enough.
func (s *scene) settle(t *testing.T) {
	t.Helper()
	s.load.end()
	await(t, "the sink has every record, each operation its result and each session its end", func(context.Context) error {
		return errors.Join(s.trail.readSink(), s.trail.whole())
	})
	if err := awaitQuiet(t.Context(), s.witness, s.label); err != nil {
		t.Fatal(err)
	}
	s.judge(t)
	s.verified(t)
}

// verified has the offline verifier read what the sink has got, and hold it
// against what the witness knows of the log: after a crash, too, a log is not
// taken for one that was tampered with.
func (s *scene) verified(t *testing.T) {
	t.Helper()
	paths, err := s.trail.sinkFiles()
	if err != nil {
		t.Fatal(err)
	}
	await(t, "a log that verifies", func(ctx context.Context) error {
		options := verify.Options{TempDir: t.TempDir()}
		var witnessed v1alpha1.AuditLogList
		if err := world.Admin.List(ctx, &witnessed, client.InNamespace(stack.Namespace)); err != nil {
			return fmt.Errorf("cannot list AuditLogs: %w", err)
		}
		for i := range witnessed.Items {
			if object := &witnessed.Items[i]; object.Name == s.trail.log {
				options.Trusted = append(options.Trusted, verify.Trusted{
					Log: object.Name, Note: object.Status.Checkpoint, Keys: object.Status.Keys, Rotations: object.Status.Rotations,
					Conflict: object.Status.State == v1alpha1.AuditLogConflict, Source: "AuditLog",
				})
			}
		}
		report, err := verify.Verify(ctx, paths, options)
		switch {
		case err != nil:
			return err
		case report.Tampered():
			t.Fatalf("the verifier finds tampering: %+v", report.All())
		case !report.OK || len(report.Logs) != 1 || report.Logs[0].Consistent == 0:
			return fmt.Errorf("nothing is proven: %+v", report)
		}
		t.Logf("verified: %s", report.Logs[0].Summary)
		return nil
	})
}

// total describes the account.
func (s *scene) total() string {
	executed, recorded := 0, 0
	for _, n := range s.target.Executed {
		executed += n
	}
	for _, n := range s.trail.recorded {
		recorded += n
	}
	delivered, answered := s.load.heard.copied()
	sessions, _ := s.load.heard.counts()
	return fmt.Sprintf("%d executed by the target's log, %d let through on record, %d answered, %d delivered at least in part, in %d sessions; "+
		"%d starts, %d recoveries, %d records, %d times the log ended in an incomplete group",
		executed, recorded, len(answered), len(delivered), sessions, s.trail.starts, len(s.trail.recoveries), len(s.trail.sums), s.trail.torn)
}
