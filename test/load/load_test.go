// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package load_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/account"
	"github.com/doorward/doorward/test/load"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

const label = "steady"

var world *stack.Stack

func TestMain(m *testing.M) {
	os.Exit(stacktest.Run(m, &world, stack.Options{}, func(ctx context.Context) error { return load.Prepare(ctx, world) }))
}

// TestLoadTellsWhatAFaultCosts kills the proxy in the midst of a load: all
// sessions are lost and counted, everybody comes back, and the account, of
// records that went to a remote sink, is even.
func TestLoadTellsWhatAFaultCosts(t *testing.T) {
	sink, err := world.StartReceiver(t.Context(), "intake")
	stacktest.Must(t, err)
	t.Cleanup(func() { _ = sink.Stop() })
	stacktest.Must(t, sink.Install(t.Context()))
	l := load.Start(t.Context(), load.Options{
		Label: label, Clients: 6, Visitors: 1, Interval: 50 * time.Millisecond, Seed: 1,
		Config: func(context.Context, int) (*pgconn.Config, error) {
			return world.Config(world.Proxy(), issuer.Request{User: "loader", Groups: []string{load.Group}})
		},
	})
	t.Cleanup(l.End)
	stacktest.Await(t, "answers to all", func(context.Context) error { return l.Served(time.Time{}) })

	quiet := l.Open()
	stacktest.Await(t, "answers to all in the window", func(context.Context) error { return l.Served(quiet.Since) })
	quiet.Close()
	if len(quiet.Live) != 6 || len(quiet.Lost) != 0 || len(quiet.Doubt) != 0 || quiet.Refused != 0 || quiet.Answered() == 0 {
		t.Errorf("nothing happened, and the window says %+v", quiet)
	}

	window := l.Open()
	stacktest.Must(t, world.Proxy().Kill())
	killed := time.Now()
	stacktest.Must(t, world.Proxy().Start(t.Context()))
	stacktest.Await(t, "answers to all after the kill", func(context.Context) error { return l.Served(killed) })
	window.Close()
	if len(window.Live) != 6 || len(window.Lost) != 6 || window.Longest == 0 || window.LongestLogin == 0 {
		t.Errorf("the proxy was killed, and the window says %+v", window)
	}
	l.End()

	records := account.NewRecords(label)
	stacktest.Await(t, "the records at the sink", func(context.Context) error { return errors.Join(records.Read(sink.Records), records.Whole(nil)) })
	target := account.NewTargetLog(world.PostgresLog(), 0, label)
	stacktest.Must(t, target.Read())
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
