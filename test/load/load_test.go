// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package load_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/account"
	"github.com/doorward/doorward/test/load"
	"github.com/doorward/doorward/test/stack"
)

const policy = `apiVersion: doorward.dev/v1alpha1
kind: AccessPolicy
metadata:
  name: load
  namespace: shop
spec:
  subjects:
  - kind: Group
    name: loaders
    identityProvider: company
  connections:
  - name: shop-db
  rules:
  - name: session
    effect: Allow
    actions: [evaluate, transaction, session, show, set]
    resources: ["*"]
  - name: work
    effect: Allow
    actions: [select, insert]
    resources: [public.ledger, public.pages]
  limits: []
  targetRole: ""
  masks: []
`

const (
	startTimeout = 10 * time.Minute
	testTimeout  = 90 * time.Second
	label        = "steady"
)

// TestLoadTellsWhatAFaultCosts kills the proxy in the midst of a load: all
// sessions are lost and counted, everybody comes back, and the account, of
// records that went to a remote sink, is even.
func TestLoadTellsWhatAFaultCosts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	world, sink := start(ctx, t)
	l := load.Start(ctx, load.Options{
		Label: label, Clients: 6, Visitors: 1, Interval: 50 * time.Millisecond, Seed: 1,
		Config: func(context.Context, int) (*pgconn.Config, error) {
			config, err := pgconn.ParseConfig(world.PSQL(world.Proxy()) + " connect_timeout=20")
			if err != nil {
				return nil, err
			}
			config.Password, err = world.Issuer.TokenFor(issuer.Request{User: "loader", Groups: []string{"loaders"}, Audience: stack.GatewayAudience})
			return config, err
		},
	})
	t.Cleanup(l.End)
	await(ctx, t, func() error { return l.Served(time.Time{}) })

	quiet := l.Open()
	await(ctx, t, func() error { return l.Served(quiet.Since) })
	quiet.Close()
	if len(quiet.Live) != 6 || len(quiet.Lost) != 0 || len(quiet.Doubt) != 0 || quiet.Refused != 0 || quiet.Answered() == 0 {
		t.Errorf("nothing happened, and the window says %+v", quiet)
	}

	window := l.Open()
	if err := world.Proxy().Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if err := world.Proxy().Start(ctx); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, func() error { return l.Served(killed) })
	window.Close()
	if len(window.Live) != 6 || len(window.Lost) != 6 || window.Longest == 0 || window.LongestLogin == 0 {
		t.Errorf("the proxy was killed, and the window says %+v", window)
	}
	l.End()

	records := account.NewRecords(label)
	await(ctx, t, func() error { return errors.Join(records.Read(sink.Records), records.Whole(nil)) })
	target := account.NewTargetLog(world.PostgresLog(), 0, label)
	if err := target.Read(); err != nil {
		t.Fatal(err)
	}
	delivered, answered := l.Answers()
	a := account.Account{Executed: target.Executed, Delivered: delivered, Answered: answered, Recorded: records.Recorded, Succeeded: records.Succeeded}
	if problems := a.Problems(); len(problems) > 0 || len(answered) == 0 {
		t.Errorf("of %d operations: %s", len(answered), strings.Join(problems, "\n"))
	}
	for _, name := range window.Live {
		if s := records.Session(name); s == nil || s.Instance != "shop-db-1" || s.Ends != 1 {
			t.Errorf("session %q is on record as %+v", name, s)
		}
	}
}

// start starts everything, the tables, the policy and a remote sink.
func start(ctx context.Context, t *testing.T) (*stack.Stack, *stack.Receiver) {
	t.Helper()
	world, err := stack.Start(ctx, stack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := world.Stop(); err != nil {
			t.Error(err)
		}
	})
	owner, err := pgconn.Connect(ctx, world.Postgres.DSN(stack.Role, world.Canary, stack.Database))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(ctx, load.LedgerSQL).ReadAll(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Close(ctx)
	sink, err := world.StartReceiver(ctx, "intake")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Stop() })
	if err := errors.Join(sink.Install(ctx), world.Apply(ctx, policy), world.AwaitPolicy(ctx, stack.Connection, "load")); err != nil {
		t.Fatal(err)
	}
	return world, sink
}

func await(ctx context.Context, t *testing.T, ask func() error) {
	t.Helper()
	bound, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	if err := stack.Await(bound, func(context.Context) error { return ask() }); err != nil {
		t.Fatal(fmt.Errorf("waited in vain: %w", err))
	}
}
