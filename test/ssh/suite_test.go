// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

const (
	connection = "web"
	// offer has a proxy give the manager recordings.
	offer = "--recordings-address=" + stack.Namespace + "/" + connection + "=127.0.0.1:0"
)

var (
	// world is the stack of all tests, web the Connection that they go through.
	world *stack.Stack
	web   *stack.Host
	// recordings is where the manager serves them.
	recordings string
	// files is the folder that policies name, echo where forwards may lead, closed where not.
	files, echo, closed string
	// askpass is the program that gives OpenSSH's client its token.
	askpass string
)

//go:embed testdata/policies.yaml
var policies string

//go:embed testdata/people.yaml
var people string

func TestMain(m *testing.M) {
	var err error
	if recordings, err = proc.FreeAddress(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(stacktest.Run(m, &world, stack.Options{Quiet: true, ManagerArgs: []string{"--recordings-address=" + recordings}}, prepare))
}

// prepare starts the SSH Connection, and makes what its policies name.
func prepare(ctx context.Context) (err error) {
	for _, program := range []string{"ssh", "sftp"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("OpenSSH's client is not here: run `hack/install-deps.sh ssh`: %w", err)
		}
	}
	if web, err = world.StartHost(ctx, stack.HostOptions{Connection: connection, ProxyArgs: []string{offer}}); err != nil {
		return err
	}
	files, askpass = filepath.Join(world.Dir, "files"), filepath.Join(world.Dir, "askpass")
	if files, err = resolved(files); err != nil {
		return err
	}
	// kubectl finds the plugin there.
	if err := os.Setenv("PATH", filepath.Dir(world.Plugin())+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		return err
	}
	if err := os.WriteFile(askpass, []byte("#!/bin/sh\nprintf '%s\\n' \"$DOORWARD_TEST_TOKEN\"\n"), 0o700); err != nil {
		return err
	}
	if echo, err = serveEcho(ctx); err != nil {
		return err
	}
	if closed, err = serveEcho(ctx); err != nil {
		return err
	}
	all := os.Expand(policies, func(name string) string {
		return map[string]string{"FILES": files, "ECHO": echo}[name]
	})
	if err := world.Apply(ctx, people, all); err != nil {
		return err
	}
	for name := range strings.SplitSeq(all, "\n") {
		if name, is := strings.CutPrefix(name, "  name: "); is {
			if err := world.AwaitPolicy(ctx, connection, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// resolved makes a folder, and returns its path as the target resolves it.
func resolved(dir string) (string, error) {
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "public"), 0o700), os.MkdirAll(filepath.Join(dir, "incoming"), 0o700)); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// serveEcho answers each connection with what it sends, until the tests end.
func serveEcho(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(proc.Loopback, "0"))
	if err != nil {
		return "", err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String(), nil
}

// session waits for the newest AuditSession of somebody, in a phase. Who needs a certain one has
// a user of his own for it: times have whole seconds.
func session(t *testing.T, user string, phase v1alpha1.SessionPhase) *v1alpha1.AuditSession {
	t.Helper()
	return awaitSession(t, "of "+user, phase, func(one *v1alpha1.AuditSession) bool { return one.Spec.Actor.Username == user })
}

// awaitSession waits until the newest session that matches has come to a phase.
func awaitSession(t *testing.T, what string, phase v1alpha1.SessionPhase, matches func(*v1alpha1.AuditSession) bool) (found *v1alpha1.AuditSession) {
	t.Helper()
	stacktest.Await(t, "the AuditSession "+what, func(ctx context.Context) error {
		all, err := world.AuditSessions(ctx)
		if err != nil {
			return err
		}
		found = nil
		for _, one := range all {
			if one.Spec.ConnectionRef.Name == connection && matches(one) && (found == nil || found.Spec.StartedAt.Before(&one.Spec.StartedAt)) {
				found = one
			}
		}
		switch {
		case found == nil:
			return errors.New("there is none")
		case found.Status.Phase != phase || found.Status.Log == nil:
			return fmt.Errorf("its phase is %q", found.Status.Phase)
		}
		return nil
	})
	return found
}

// onRecord waits until the sink has a record.
func onRecord(t *testing.T, what string, match func(*record.Document) bool) (found *record.Document) {
	t.Helper()
	stacktest.Await(t, "on record: "+what, func(context.Context) error {
		all, err := stack.ReadRecords(world.Records())
		if err != nil {
			return err
		}
		for i := range all {
			if match(&all[i]) {
				found = &all[i]
				return nil
			}
		}
		return fmt.Errorf("none of %d records", len(all))
	})
	return found
}

// decided waits for the decision on a statement of somebody.
func decided(t *testing.T, user, statement string) *record.Document {
	t.Helper()
	return onRecord(t, statement+" of "+user, func(d *record.Document) bool {
		return d.Type == record.OperationDecided && d.Actor.UserName == user && d.Operation.Statement == statement
	})
}

// result waits for what came of a statement of somebody.
func result(t *testing.T, user, statement string) *record.Document {
	t.Helper()
	decision := decided(t, user, statement)
	return onRecord(t, "result of "+statement, func(d *record.Document) bool {
		return d.Type == record.OperationResult && d.Session == decision.Session && d.OperationID == decision.OperationID
	})
}

// kubectl runs it as somebody at the API server.
func kubectl(t *testing.T, user string, args ...string) string {
	t.Helper()
	config, err := world.User(user, groups[user]...)
	stacktest.Must(t, err)
	out, err := world.Control.Kubectl(t.Context(), config, args...)
	stacktest.Must(t, err)
	return out
}

// groups are those of people at the API server.
var groups = map[string][]string{"bob": {"dba"}, "hal": {"dba"}}

// caller is somebody at the proxy.
func caller(user string) issuer.Request { return issuer.Request{User: user} }
