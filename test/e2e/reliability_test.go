// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/test/account"
	"github.com/doorward/doorward/test/load"
	"github.com/doorward/doorward/test/pgpod"
)

// The load: sessions that stay, and visitors that log in each time. Each client
// does something twice in three seconds.
const (
	label       = "e2e"
	sessions    = 50
	visitors    = 4
	interval    = 1500 * time.Millisecond
	loader      = "loader"
	tolerance   = 2 * time.Minute // of the sink and the target's log behind a fault
	quietPeriod = 5 * time.Second
)

// bench is an installation under load, and the account that is kept of it.
type bench struct {
	*site
	load    *load.Load
	target  *account.TargetLog
	records *account.Records
	// gone are proxies whose disk went with their pod: what they had not
	// delivered is lost by design, ends of sessions and results among it.
	gone map[string]bool
	// since is when proxies of this version began; those before have faults that are
	// mended, such as operations without a result where they were cut while their
	// decision was being written.
	since time.Time
	// former held the managers' lease before its process was killed.
	former string
}

// newBench starts the load on both Connections.
func (s *site) newBench(t *testing.T) *bench {
	t.Helper()
	path, err := s.postgres.LogPath(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.issuer.token(loader, "loaders")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.trust(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := &bench{site: s, target: account.NewTargetLog(path, 0, label), records: account.NewRecords(label), gone: map[string]bool{}}
	b.load = load.Start(t.Context(), load.Options{
		Label: label, Clients: sessions, Visitors: visitors, Interval: interval, Seed: 1,
		Config: func(_ context.Context, client int) (*pgconn.Config, error) {
			return s.callers(connectionOf(client), token)
		},
	})
	t.Cleanup(b.load.End)
	return b
}

// connectionOf spreads the clients: three fifths work with volumes, the others without.
func connectionOf(client int) string {
	if client%5 < 3 {
		return local
	}
	return remote
}

// callers connect through the Service, and verify the proxy by the authorities
// that were fetched last.
func (s *site) callers(connection, token string) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=5432 dbname=%s user=x sslmode=verify-full sslrootcert=%s connect_timeout=20", endpointOf(connection), database, s.authorities()))
	if err != nil {
		return nil, err
	}
	config.Password = token
	pgpod.Inside(s.Cluster, config)
	return config, nil
}

// reliability breaks one thing after the other, in order: the later ones rest on
// what the earlier ones leave.
func (s *site) reliability(t *testing.T) {
	t.Helper()
	b := s.newBench(t)
	await(t, "a session for each client", func(context.Context) error { return b.load.Served(time.Time{}) })
	progress("a load of %d sessions and %d visitors runs", sessions, visitors)
	t.Run("Reliability", func(t *testing.T) {
		for _, f := range b.faults() {
			// What comes after one that nobody survived would say nothing.
			if !t.Run(f.name, func(t *testing.T) { b.endure(t, f) }) && !b.usable(t.Context()) {
				t.FailNow()
			}
		}
		t.Run("CancelAcrossReplicas", b.cancels)
	})
	progress("the clients leave")
	b.load.End()
	t.Run("Account", b.settle)
}

// usable says whether all is well, soon.
func (b *bench) usable(ctx context.Context) bool {
	return awaitShort(ctx, tolerance, b.well) == nil
}

// fault is something that goes wrong, or is changed on purpose.
type fault struct {
	name, what string
	// do does it. It returns the proxies whose sessions end by design; nil for
	// none. What is away is back when it returns.
	do func(*testing.T) (ends map[string]bool)
	// well says whether the fault's own end has come; nil where site.well is all.
	well func(context.Context) error
	// outage: the time to recover counts from the return of do.
	outage bool
}

// endure does it under load, waits until all is well again, and counts.
func (b *bench) endure(t *testing.T, f fault) {
	t.Helper()
	if err := b.load.Served(time.Now().Add(-quietBound)); err != nil {
		t.Fatalf("before %q: %v", f.what, err)
	}
	progress("%s", f.what)
	window := b.load.Open()
	ends := f.do(t)
	since := window.Since
	done := time.Now()
	if f.outage {
		since = done
	}
	await(t, "all is well after: "+f.what, func(ctx context.Context) error {
		if f.well != nil {
			if err := f.well(ctx); err != nil {
				return err
			}
		}
		return errors.Join(b.well(ctx), b.load.Served(done))
	})
	recovered := time.Since(since)
	// What is cut late is this fault's, too.
	rest := time.NewTimer(quietPeriod)
	<-rest.C
	window.Close()
	r := row{
		fault: f, live: len(window.Live), answered: window.Answered(), doubt: len(window.Doubt), refused: window.Refused,
		longest: window.Longest, longestLogin: window.LongestLogin, recovered: recovered, failedLogins: window.FailedLogins,
	}
	r.unrecorded, r.unexecuted = b.balance(t)
	r.missing = b.records.Missing()
	for _, mark := range window.Doubt {
		if b.target.Executed[mark] > 0 {
			r.doubtExecuted++
		}
	}
	for name, cause := range window.Lost {
		session := b.records.Session(name)
		if session != nil && ends[session.Instance] {
			r.ended++
			continue
		}
		r.lost++
		t.Errorf("session %s (%+v) was lost: %s", name, session, cause)
	}
	rows = append(rows, r)
	progress("  %s", r.summary())
	for _, problem := range slices.Concat(r.unrecorded, r.unexecuted) {
		t.Error(problem)
	}
	if r.missing != 0 {
		t.Errorf("%d records are missing in the sink", r.missing)
	}
	if r.refused != 0 {
		t.Errorf("%d operations were refused: %v", r.refused, b.load.Refused())
	}
}

// quietBound is how far back a client's last answer may be when a fault begins.
const quietBound = 30 * time.Second

// balance holds what the target and the clients know by now against the
// records, and the other way round. The load goes on: what is asked of one
// witness must turn up at the others within a bound.
func (b *bench) balance(t *testing.T) (unrecorded, unexecuted []string) {
	t.Helper()
	if err := b.target.Read(); err != nil {
		t.Fatal(err)
	}
	delivered, answered := b.load.Answers()
	executed := maps.Clone(b.target.Executed)
	recordsOf := func() account.Account {
		return account.Account{Executed: executed, Delivered: delivered, Recorded: b.records.Recorded}
	}
	_ = awaitShort(t.Context(), tolerance, func(context.Context) error {
		if err := b.records.Read(b.sink.records); err != nil {
			return err
		}
		unrecorded = recordsOf().Unrecorded()
		if len(unrecorded) > 0 || b.records.Missing() > 0 {
			return errors.New("not all is on record yet")
		}
		return nil
	})
	succeeded := maps.Clone(b.records.Succeeded)
	_ = awaitShort(t.Context(), tolerance, func(context.Context) error {
		if err := b.target.Read(); err != nil {
			return err
		}
		unexecuted = account.Account{Executed: b.target.Executed, Answered: answered, Succeeded: succeeded}.Unexecuted()
		if len(unexecuted) > 0 {
			return errors.New("not all is in the target's log yet")
		}
		return nil
	})
	return unrecorded, unexecuted
}

// settle is the account at the end, when the clients have left: the table is a
// witness too, every session has its end and every operation its result, and the
// log verifies.
func (b *bench) settle(t *testing.T) {
	live := func(session *account.Session) bool { return b.gone[session.Log] || session.Started.Before(b.since) }
	await(t, "an end of each session and a result of each operation", func(context.Context) error {
		return errors.Join(b.records.Read(b.sink.records), b.records.Whole(live))
	})
	unrecorded, unexecuted := b.balance(t)
	rows, err := b.postgres.Query(t.Context(), database, "SELECT mark FROM ledger")
	if err != nil {
		t.Fatal(err)
	}
	changed, twice := map[string]bool{}, 0
	for _, mark := range rows {
		if changed[mark] {
			twice++
		}
		changed[mark] = true
	}
	delivered, answered := b.load.Answers()
	unrecorded = append(unrecorded, account.Account{Changed: changed, Delivered: delivered, Recorded: b.records.Recorded}.Unrecorded()...)
	for mark := range answered {
		if !account.Reads(mark) && !changed[mark] {
			unexecuted = append(unexecuted, mark+": answered, not in the table")
		}
	}
	for _, problem := range slices.Concat(unrecorded, unexecuted) {
		t.Error(problem)
	}
	if twice > 0 {
		t.Errorf("%d rows of the table are there twice", twice)
	}
	b.verified(t)
	records, logs := b.records.Count()
	progress("account: %d operations answered, %d rows written, %d records of %d logs, %d of them sent again", len(answered), len(rows), records, logs, b.records.Twice())
}
