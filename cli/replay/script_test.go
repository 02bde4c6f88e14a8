// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/replay"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/test/script"
)

func TestMain(m *testing.M) {
	script.Main(m, []func(genericiooptions.IOStreams) *cobra.Command{replay.NewCommand}, nil)
}

// TestScripts reads like an auditor's terminal. A script has two logs: ./records with one
// session, which is in ./records.jsonl too, and ./many with two. ./forged is another log, with
// a session that is called as the one of ./records.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			return errors.Join(
				write(filepath.Join(env.WorkDir, "records"), "a1b2c3d4e5f60718"),
				write(filepath.Join(env.WorkDir, "forged"), "a1b2c3d4e5f60718"),
				write(filepath.Join(env.WorkDir, "many"), "a1b2c3d4e5f60718", "0718a1b2c3d4e5f6"),
				lines(filepath.Join(env.WorkDir, "records"), filepath.Join(env.WorkDir, "records.jsonl")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"edit": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(edit(ts.MkAbs(args[0]), args[1], args[2]))
			},
		},
	})
}

// edit changes what a file holds.
func edit(path, from, to string) error {
	text, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(text, []byte(from)) {
		return fmt.Errorf("%q is not in %s: %w", from, path, err)
	}
	return os.WriteFile(path, bytes.ReplaceAll(text, []byte(from), []byte(to)), 0o600)
}

// lines writes the records of a log as a sink does.
func lines(dir, path string) error {
	var text []byte
	for r, err := range spool.Records(dir) {
		if err != nil {
			return err
		}
		text = append(append(text, r.JSON...), '\n')
	}
	return os.WriteFile(path, text, 0o600)
}

// wentAhead is an approval that nobody gave.
var wentAhead = record.Approval{Scope: policy.ScopeSession, Request: "shop-db-fire", Outcome: "Approved", BreakGlass: true}

// write makes a log with the same session of alice's under each name.
func write(dir string, sessions ...string) error {
	ctx := context.Background()
	now := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	log, err := spool.Open(ctx, spool.Options{Dir: dir, Now: func() time.Time { return now }})
	if err != nil {
		return err
	}
	alice := &identity.Principal{
		Issuer: "https://login.example.com", Subject: "00u1", UserName: "alice@example.com", Groups: []string{"analysts", "oncall"}, Kind: identity.Human,
	}
	operation := func(n uint64, statement string, access policy.Access, d record.Decision) record.Event {
		return record.Event{
			Type: record.OperationDecided, OperationID: n, Actor: alice, Decision: &d,
			Operation: &record.Operation{Protocol: "postgres", Kind: "SELECT", Statement: statement, Accesses: []policy.Access{access}},
		}
	}
	for _, session := range sessions {
		for _, step := range []struct {
			after time.Duration
			event record.Event
		}{
			{0, record.Event{Type: record.SessionStart, Actor: alice, ClientAddress: "192.0.2.7:50514", Attributes: []record.Attribute{{Name: "database", Value: "shop"}}}},
			{1500 * time.Millisecond, operation(1, "SELECT id,\n\temail\nFROM customers", policy.Access{Action: "select", Resource: "public.customers"}, record.Decision{
				Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "analysts", Rule: "read"}}, Masks: []string{"analysts/contact"},
			})},
			{12 * time.Millisecond, record.Event{Type: record.OperationResult, OperationID: 1, Result: &record.Result{
				Outcome: "Succeeded", Rows: 3, Bytes: 120, Duration: 11 * time.Millisecond, MaskedFields: []string{"public.customers.email"}, MaskedValues: 3,
			}}},
			{time.Minute, operation(2, "DROP TABLE customers -- \x1b[2J\u202e", policy.Access{Action: "drop", Resource: "public.customers"}, record.Decision{
				Effect: policy.Deny, Rules: []policy.RuleRef{{Policy: "analysts", Rule: "no-schema-changes"}}, Message: "schema changes go through migrations",
			})},
			{time.Minute, record.Event{Type: record.OperationHeld, OperationID: 3, Approval: &record.Approval{Request: "shop-db-x7k2p"}}},
			{time.Minute, func() record.Event {
				e := operation(3, "UPDATE orders SET state = 'paid' WHERE id = 7", policy.Access{Action: "update", Resource: "public.orders"}, record.Decision{
					Effect: policy.RequireApproval, Rules: []policy.RuleRef{{Policy: "analysts", Rule: "change-orders"}},
				})
				e.Approval = &record.Approval{Request: "shop-db-x7k2p", Outcome: "Approved", Approvers: []string{"bob"}}
				return e
			}()},
			{time.Second, record.Event{Type: record.OperationResult, OperationID: 3, Result: &record.Result{Outcome: "Failed", ErrorCode: "23514"}}},
			{time.Second, func() record.Event {
				e := operation(4, "UPDATE orders SET state = 'open' WHERE id = 7", policy.Access{Action: "update", Resource: "public.orders"}, record.Decision{
					Effect: policy.RequireApproval, Rules: []policy.RuleRef{{Policy: "analysts", Rule: "incident"}},
				})
				e.Approval = &record.Approval{
					Scope: policy.ScopeSession, Request: "shop-db-day", Outcome: "Approved", Approvers: []string{"carol", "dave"},
					Also: []record.Approval{wentAhead},
				}
				return e
			}()},
			{time.Second, record.Event{
				Type: record.OperationDecided, OperationID: 5, Actor: alice, Decision: &record.Decision{Effect: policy.Allow},
				Operation: &record.Operation{Protocol: "ssh", Kind: "exec", Statement: "scp -t /srv", Accesses: []policy.Access{{Action: "write", Resource: "/srv"}}},
			}},
			{time.Second, record.Event{Type: record.OperationResult, OperationID: 5, Result: &record.Result{
				Outcome: "Failed", Exit: &record.Exit{Status: 1},
				Transfers: []record.Transfer{
					{Direction: record.ToTarget, Name: "/srv/a b\x1b[2K", Bytes: 7, Digest: "sha256:1f2e"},
					{Direction: record.ToCaller, Bytes: 9, Offset: 4096, Undigested: "it is not contiguous"},
				},
			}}},
			{time.Second, record.Event{Type: record.OperationResult, OperationID: 5, Result: &record.Result{Outcome: "Failed", Exit: &record.Exit{Signal: "SEGV", CoreDumped: true}}}},
			{time.Hour, record.Event{Type: record.SessionEnd, Reason: "closed by the caller", Approval: &wentAhead}},
		} {
			now = now.Add(step.after)
			step.event.Session, step.event.Connection = session, record.Connection{Namespace: "shop", Name: "shop-db"}
			if _, err := log.Append(ctx, step.event); err != nil {
				return errors.Join(err, log.Close())
			}
		}
	}
	return errors.Join(log.Finish(ctx), log.Close())
}
