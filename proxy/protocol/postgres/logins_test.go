// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/protocol/postgres"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/pgtest"
)

// watched is a proxy that looks at who is logged in, every few milliseconds.
type watched struct {
	t       *testing.T
	road    *protocoltest.Road
	server  *protocoltest.Server
	handler protocol.Handler
	tag     string

	mu    sync.Mutex // guards what follows
	looks int
	err   error
	ended chan error
}

// oneHandler is a protocol with one handler for all.
type oneHandler struct {
	protocol.Protocol
	handler protocol.Handler
}

func (o oneHandler) NewHandler() protocol.Handler { return o.handler }

const lookEvery = 20 * time.Millisecond

func newWatched(t *testing.T, edit ...func(*protocoltest.Config)) *watched {
	t.Helper()
	w := &watched{t: t, handler: postgres.New().NewHandler(), ended: make(chan error, 1)}
	w.road, _ = road(t, edit...)
	w.server = w.road.Listen(t, oneHandler{postgres.New(), w.handler})
	s := w.road.Snapshot()
	watch := w.road.Gate.NewLoginWatch(s, s.Targets[0], access.LoginWatchOptions{
		Every: lookEvery, Found: func(access.ForeignLogin) {},
		Looked: func(err error) {
			w.mu.Lock()
			w.looks++
			w.err = err
			w.mu.Unlock()
		},
	})
	w.tag = watch.Tag()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { w.ended <- w.handler.(protocol.LoginWatcher).WatchLogins(ctx, watch) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-w.ended:
		case <-time.After(30 * time.Second):
			t.Error("the watch does not end")
		}
	})
	return w
}

// looked waits for n more looks.
func (w *watched) looked(n int) {
	w.t.Helper()
	count := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.looks
	}
	for until := count() + n; count() < until; {
		select {
		case err := <-w.ended:
			w.ended <- err
			w.t.Fatalf("the watch ended: %v", err)
		case <-deadline(w.t).Done():
			w.t.Fatal("nobody looks")
		case <-time.After(lookEvery):
		}
	}
}

// found waits for the record of a foreign login by a name.
func (w *watched) found(name string) record.Event {
	w.t.Helper()
	return w.road.Log.Await(deadline(w.t), w.t, "foreign login "+name, func(e record.Event) bool {
		return e.Type == record.ForeignLogin && attributeOf(e, "name") == name
	})
}

func attributeOf(e record.Event, name string) string {
	for _, a := range e.Attributes {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// direct goes round the proxy.
func direct(t *testing.T, s *pgtest.Server, role, password, name string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(s.DSN(role, password, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = name
	conn, err := pgx.ConnectConfig(deadline(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// TestForeignLogins is checklist 52: whoever uses the stored credential without
// the proxy is found, whatever they call themselves, and each login once; the
// proxy's own connections never are.
func TestForeignLogins(t *testing.T) {
	w := newWatched(t)
	c := client(t, w.road, w.server)
	if _, err := c.Exec(deadline(t), "SELECT total FROM public.orders WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	w.looked(3)
	if found := w.road.Log.OfType(record.ForeignLogin); len(found) != 0 {
		t.Fatalf("own connections are taken for foreign: %+v", found)
	}
	thief := direct(t, server, service, canary, "psql")
	event := w.found("psql")
	var pid int
	var began time.Time
	var address string
	if err := thief.QueryRow(deadline(t), "SELECT pid, backend_start, host(client_addr) || ':' || client_port FROM pg_stat_activity WHERE pid = pg_backend_pid()").Scan(&pid, &began, &address); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"target": fmt.Sprintf("%s:%d", server.Host, server.Port), "role": service, "ownRole": "true", "database": "shop", "name": "psql",
		"login": fmt.Sprintf("%d/%s", pid, began.UTC().Format("2006-01-02T15:04:05.000000Z")),
	}
	got := map[string]string{}
	for _, a := range event.Attributes {
		got[a.Name] = a.Value
	}
	if diff := cmp.Diff(want, got); diff != "" || event.ClientAddress != address {
		t.Errorf("record (-want +got):\n%s%s, want %s", diff, event.ClientAddress, address)
	}
	// Names that look like the proxy's, of a proxy that is not there.
	for _, name := range []string{"doorward:alice@example.com:bcdfgh0123456789", "doorward:catalog-bcdfgh", "doorward:logins-", "doorward:"} {
		_ = direct(t, server, service, canary, name)
		w.found(name)
	}
	w.looked(3)
	if n := len(w.road.Log.OfType(record.ForeignLogin)); n != 5 {
		t.Errorf("%d records of 5 logins", n)
	}
	if err := w.handlerErr(); err != nil {
		t.Errorf("look: %v", err)
	}
	// Nobody is told of the others: superusers and applications have their own business.
	_ = direct(t, server, pgtest.Superuser, server.Password, "backup")
	w.looked(3)
	for _, e := range w.road.Log.OfType(record.ForeignLogin) {
		if attributeOf(e, "role") != service {
			t.Errorf("of another role: %+v", e)
		}
	}
	// What the proxy itself does there is on record, and holds no secret.
	if events := w.road.Log.OfType(record.TargetWatched); len(events) != 1 || events[0].Actor.Subject != "test-0" {
		t.Errorf("records of the proxy's own login: %+v", events)
	}
	for _, d := range w.road.Log.Documents(t) {
		if strings.Contains(fmt.Sprintf("%+v", d), canary) {
			t.Fatalf("the password is on record: %+v", d)
		}
	}
}

func (w *watched) handlerErr() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// TestForeignLoginsOfAllRoles: of roles that the credential's has no part in
// PostgreSQL shows who, and not from where.
func TestForeignLoginsOfAllRoles(t *testing.T) {
	if err := server.Exec(t.Context(), "CREATE ROLE backup LOGIN PASSWORD 'p' IN ROLE pg_read_all_data"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Exec(context.WithoutCancel(t.Context()), "DROP ROLE backup"); err != nil {
			t.Error(err)
		}
	})
	w := newWatched(t, func(c *protocoltest.Config) {
		c.Options = []byte(`{"databases":["shop"],"foreignLogins":{"roles":"All","except":["backup"]}}`)
	})
	_ = direct(t, server, "backup", "p", "nightly")
	_ = direct(t, server, pgtest.Superuser, server.Password, "by hand")
	event := w.found("by hand")
	if attributeOf(event, "ownRole") != "false" || attributeOf(event, "role") != pgtest.Superuser || event.ClientAddress != "" {
		t.Errorf("%+v", event)
	}
	w.looked(3)
	for _, e := range w.road.Log.OfType(record.ForeignLogin) {
		if attributeOf(e, "role") == "backup" {
			t.Errorf("an exception: %+v", e)
		}
	}
}

// TestForeignLoginsOfSiblings: several proxies share a role, and do not take each
// other for foreign while they are live.
func TestForeignLoginsOfSiblings(t *testing.T) {
	var mu sync.Mutex
	var live []access.Sibling
	siblings := func(c *protocoltest.Config) {
		c.Siblings = func(context.Context) ([]access.Sibling, error) {
			mu.Lock()
			defer mu.Unlock()
			return live, nil
		}
	}
	one, other := newWatched(t, siblings), newWatched(t, siblings)
	mu.Lock()
	live = []access.Sibling{{Tag: one.tag, Sees: true}, {Tag: other.tag, Sees: true}}
	mu.Unlock()
	_, _ = client(t, one.road, one.server), client(t, other.road, other.server)
	for _, w := range []*watched{one, other} {
		w.looked(5)
		// Before there was news of each other, each may have been strange to the other.
		for _, e := range w.road.Log.OfType(record.ForeignLogin) {
			if !strings.HasPrefix(attributeOf(e, "name"), "doorward:logins-") {
				t.Errorf("a sibling's session: %+v", e)
			}
		}
	}
	_ = direct(t, server, service, canary, "stolen")
	one.found("stolen")
	other.found("stolen")
}

// TestForeignLoginsChurn: connections that come and go while the proxy looks are
// never foreign.
func TestForeignLoginsChurn(t *testing.T) {
	w := newWatched(t)
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 15 {
				c, err := pgx.Connect(deadline(t), dsn(t, w.road, w.server))
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.Close(context.Background())
			}
		})
	}
	running.Wait()
	w.looked(3)
	if found := w.road.Log.OfType(record.ForeignLogin); len(found) != 0 {
		t.Errorf("%d: %+v", len(found), found[0])
	}
}

// TestLoginsAreNotWatched: what cannot be told is said, and where nobody shall
// look nobody does.
func TestLoginsAreNotWatched(t *testing.T) {
	bouncer, err := pgtest.StartPgBouncer(t.Context(), server, map[string]string{service: canary})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bouncer.Stop(); err != nil {
			t.Error(err)
		}
	})
	for name, tc := range map[string]struct {
		reason string
		edit   func(*protocoltest.Config)
		want   string
		is     error
		dials  int
	}{
		"None": {
			reason: "the options say so", is: access.ErrNotWatched, want: "not watched",
			edit: func(c *protocoltest.Config) {
				c.Options = []byte(`{"databases":["shop"],"foreignLogins":{"roles":"None"}}`)
			},
		},
		"Pooler": {
			reason: "its processes are not the server's", want: "connection pooler", dials: 1,
			edit: func(c *protocoltest.Config) {
				c.Target = snapshot.Target{Host: bouncer.Host, Port: int32(bouncer.Port)}
			},
		},
		"Password": {
			reason: "the error is for operators and holds no secret", want: "password authentication failed", dials: 1,
			edit: func(c *protocoltest.Config) { c.Password = "canary-wrong" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := road(t, tc.edit)
			s := r.Snapshot()
			watch := r.Gate.NewLoginWatch(s, s.Targets[0], access.LoginWatchOptions{Found: func(access.ForeignLogin) {}, Looked: func(error) {}})
			err := postgres.New().NewHandler().(protocol.LoginWatcher).WatchLogins(deadline(t), watch)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "canary") || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%s: %v", tc.reason, err)
			}
			if n := r.Dialer.Dials(); n != tc.dials {
				t.Errorf("%d dials, want %d", n, tc.dials)
			}
		})
	}
}
