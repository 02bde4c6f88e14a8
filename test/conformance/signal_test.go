// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
)

// running is a psql that has not ended.
type running struct {
	command *exec.Cmd

	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *running) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// start starts psql through the proxy.
func (c *caller) start(stdin string, args ...string) *running {
	c.t.Helper()
	r := &running{command: exec.CommandContext(c.context(), program("psql"), append([]string{"-X", "-w", "-d", through()}, args...)...)}
	r.command.Env = environment(c.token)
	r.command.Stdin = strings.NewReader(stdin)
	r.command.Stdout, r.command.Stderr = r, r
	if err := r.command.Start(); err != nil {
		c.t.Fatalf("cannot start psql: %v", err)
	}
	return r
}

// interrupt is Ctrl-C.
func (c *caller) interrupt(r *running) {
	c.t.Helper()
	if err := r.command.Process.Signal(syscall.SIGINT); err != nil {
		c.t.Fatalf("cannot interrupt psql: %v", err)
	}
}

// wait waits for the end and compares the exit status.
func (c *caller) wait(r *running, exit int) string {
	c.t.Helper()
	_ = r.command.Wait() // its error is the exit status that is compared
	text := r.String()
	_, _ = c.Write([]byte(text))
	if got := r.command.ProcessState.ExitCode(); got != exit {
		c.t.Errorf("psql ended with exit status %d, want %d:\n%s", got, exit, text)
	}
	return text
}

// awaitText waits until psql has shown something.
func (c *caller) awaitText(r *running, pattern string) {
	c.t.Helper()
	matcher := regexp.MustCompile(pattern)
	c.await(func(context.Context) error {
		if text := r.String(); !matcher.MatchString(text) {
			return fmt.Errorf("psql has not shown %q but:\n%s", pattern, text)
		}
		return nil
	})
}

func (c *caller) await(ask func(context.Context) error) {
	c.t.Helper()
	if err := stack.Await(c.context(), ask); err != nil {
		c.t.Fatal(err)
	}
}

// awaitExecuted waits until the target has begun a statement of the caller.
func (c *caller) awaitExecuted(text string) {
	c.t.Helper()
	c.await(func(context.Context) error {
		sessions, err := targetLog(suite.PostgresLog(), c.user)
		if err != nil {
			return err
		}
		for _, executed := range sessions {
			if slices.Contains(executed, text) {
				return nil
			}
		}
		return fmt.Errorf("the target has not begun %q", text)
	})
}

func (c *caller) wants(text string, patterns ...string) {
	c.t.Helper()
	for _, pattern := range patterns {
		if !regexp.MustCompile(pattern).MatchString(text) {
			c.t.Errorf("psql does not show %q:\n%s", pattern, text)
		}
	}
}

// TestCancelRunning: Ctrl-C ends the statement that runs at the target. psql
// itself leaves a list of commands or a script then.
func TestCancelRunning(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "developers")
	r := c.start("", "-c", "SELECT pg_sleep(60)")
	c.awaitExecuted("SELECT pg_sleep(60)")
	c.interrupt(r)
	text := c.wait(r, 1)
	c.wants(text, `Cancel request sent`, `ERROR:  canceling statement due to user request`)
	c.expectCounts(t, v1alpha1.OperationCounts{Total: 1, Allowed: 1, Failed: 1})
}

// requests are a caller's ApprovalRequests.
func (c *caller) requests(ctx context.Context) ([]v1alpha1.ApprovalRequest, error) {
	var list v1alpha1.ApprovalRequestList
	if err := suite.Admin.List(ctx, &list, client.InNamespace(stack.Namespace)); err != nil {
		return nil, err
	}
	var own []v1alpha1.ApprovalRequest
	for i := range list.Items {
		if list.Items[i].Spec.Requester.Username == c.user {
			own = append(own, list.Items[i])
		}
	}
	return own, nil
}

// TestCancelHeld: Ctrl-C withdraws a statement that waits for approval; it has
// not reached the target.
func TestCancelHeld(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "analysts")
	r := c.start("", "-v", "VERBOSITY=verbose", "-c", "UPDATE orders SET status = 'canceled' WHERE id = 11")
	c.awaitText(r, `(?s)NOTICE:.*kubectl -n shop patch approvalrequest`)
	c.interrupt(r)
	text := c.wait(r, 1)
	c.wants(text, `ERROR:  57014: .*canceled.*nothing was forwarded`)
	c.expectCounts(t, v1alpha1.OperationCounts{Total: 1, Denied: 1, Held: 1})
	if executed, err := targetLog(suite.PostgresLog(), c.user); err != nil || strings.Contains(fmt.Sprint(executed), "UPDATE") {
		t.Errorf("the target has run %q: %v", executed, err)
	}
	c.await(func(ctx context.Context) error {
		own, err := c.requests(ctx)
		if err != nil {
			return err
		}
		if len(own) != 1 || own[0].Status.Phase == "" || own[0].Status.Phase == v1alpha1.ApprovalPending {
			return fmt.Errorf("want one ApprovalRequest that is over, there are %d: %+v", len(own), own)
		}
		return nil
	})
}

var approveLine = regexp.MustCompile(`kubectl (-n \S+) patch approvalrequest (\S+) --type=json -p '([^']+)'`)

// awaitPatch waits for the notice of the approval that is asked for as number
// n, from 0, and returns what its hint has an approver run.
func (c *caller) awaitPatch(r *running, n int) []string {
	c.t.Helper()
	var found [][]string
	c.await(func(context.Context) error {
		if found = approveLine.FindAllStringSubmatch(r.String(), -1); len(found) <= n {
			return fmt.Errorf("psql has not shown %d notices but:\n%s", n+1, r)
		}
		return nil
	})
	return append(strings.Fields(found[n][1]), "patch", "approvalrequest", found[n][2], "--type=json", "-p", found[n][3])
}

// TestApprove: what psql waits for goes on with the patch that its notice shows.
func TestApprove(t *testing.T) {
	tests := map[string]struct {
		reason string
		args   []string
		stdin  string
		want   []string
		// approvals are asked for one after the other; one where zero.
		approvals int
	}{
		"Query": {
			reason: "a simple query, the statement after it needs no approval",
			args:   []string{"-c", "UPDATE orders SET status = 'shipped' WHERE id = 12 RETURNING id, status", "-c", "SELECT 1"},
			want:   []string{`12 \| shipped`, `UPDATE 1`, `\(1 row\)`},
		},
		"InTransaction": {
			reason: "inside a transaction with a savepoint",
			stdin:  "BEGIN;\nSAVEPOINT s;\nUPDATE orders SET status = 'shipped' WHERE id = 13;\nRELEASE s;\nROLLBACK;\n",
			want:   []string{`UPDATE 1`, `RELEASE`, `ROLLBACK`},
		},
		"Execute": {
			reason: "SQL's PREPARE is decided by what it would run, and EXECUTE again", approvals: 2,
			stdin: "PREPARE p (int) AS UPDATE orders SET status = 'shipped' WHERE id = $1;\nEXECUTE p (14);\n",
			want:  []string{`PREPARE`, `UPDATE 1`},
		},
		"Copy": {
			reason: "\\copy into a table whose changes need approval",
			stdin:  "BEGIN;\n\\copy orders (id, customer_id, amount) FROM STDIN CSV\n9100,1,10.50\n9101,2,11\n\\.\nROLLBACK;\n",
			want:   []string{`COPY 2`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCaller(t, "analysts")
			r := c.start(tc.stdin, tc.args...)
			approver, err := suite.User("approver-"+c.user, "dba")
			if err != nil {
				t.Fatal(err)
			}
			for n := range max(tc.approvals, 1) {
				patch := c.awaitPatch(r, n)
				if out, err := suite.Control.Kubectl(c.context(), approver, patch...); err != nil {
					t.Fatalf("cannot approve: %v: %s", err, out)
				}
			}
			text := c.wait(r, 0)
			c.wants(text, tc.want...)
			if strings.Contains(text, "ERROR") {
				t.Errorf("%s: psql shows an error:\n%s", tc.reason, text)
			}
		})
	}
}

// TestWatch: \watch repeats a query until Ctrl-C; each is on record.
func TestWatch(t *testing.T) {
	t.Parallel()
	c := newCaller(t, "analysts")
	r := c.start("SELECT id, email FROM customers WHERE id = 5 \\watch 0.2\n")
	c.awaitText(r, `(?s)(\[masked\].*){3}`)
	c.interrupt(r)
	_ = r.command.Wait() // psql 15 ends with 0 or by the signal, by where it hits
	text := r.String()
	_, _ = c.Write([]byte(text))
	sessions, err := targetLog(suite.PostgresLog(), c.user)
	if err != nil {
		t.Fatal(err)
	}
	for _, texts := range sessions {
		if len(texts) < 3 {
			t.Errorf("the target ran %d queries, want 3 at least", len(texts))
		}
	}
}
