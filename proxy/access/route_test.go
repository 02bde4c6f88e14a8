// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// bare is a gate that has a name, and a protocol unless that is empty.
func bare(namespace, name, protocol string) *Gate {
	g := &Gate{config: Config{Connection: snapshot.Connection{Namespace: namespace, Name: name}}}
	if protocol != "" {
		g.state.Store(&state{snapshot: &snapshot.Snapshot{Protocol: protocol}})
	}
	return g
}

func TestRoute(t *testing.T) {
	own := bare("web", "app", "ssh")
	offered := []*Gate{
		own, bare("ops", "app", "ssh"), bare("ops", "db", "ssh"), bare("ops", "twin", "ssh"), bare("dev", "twin", "ssh"),
		bare("ops", "shop", "postgres"), bare("ops", "new", ""), bare("dev", "db", "postgres"),
	}
	for name, test := range map[string]struct {
		reason, connection, want string // none where want is empty
	}{
		"None":         {"who names none wants the listener's", "", "web/app"},
		"Own":          {"the listener's own name is its own, whatever others are called", "app", "web/app"},
		"OwnInFull":    {"the same with its namespace", "web/app", "web/app"},
		"NamesakeFull": {"another of that name has a namespace", "ops/app", "ops/app"},
		"Other":        {"a name that one has", "db", "ops/db"},
		"OtherInFull":  {"the same with its namespace", "ops/db", "ops/db"},
		"Ambiguous":    {"which of two is not guessed", "twin", ""},
		"Unambiguous":  {"unless it is said", "dev/twin", "dev/twin"},
		"Protocol":     {"the words of one protocol lead to no other", "ops/shop", ""},
		"NoSnapshot":   {"nobody knows yet what it speaks", "new", ""},
		"Missing":      {"there is none", "payments", ""},
		"Namespace":    {"a namespace alone is no name", "ops/", ""},
		"Slash":        {"a name alone has no slash", "/db", ""},
		"Case":         {"names are as they are written", "DB", ""},
	} {
		t.Run(name, func(t *testing.T) {
			entry := own.Entry(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 40000})
			entry.Offer(offered)
			led, err := entry.Route(test.connection)
			if test.want == "" {
				if !errors.Is(err, ErrNoRoute) || entry.Routed() != entry || !entry.Elsewhere(test.connection) {
					t.Errorf("%s: %v, %v", test.reason, led, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", test.reason, err)
			}
			if got := led.gate.fullName(); got != test.want || entry.Routed() != led || entry.Elsewhere(test.connection) != (led != entry) {
				t.Errorf("%s: led to %s, want %s", test.reason, got, test.want)
			}
			if again, err := entry.Route(test.connection); again != led || err != nil {
				t.Errorf("the next attempt has another entry: %v", err)
			}
		})
	}
}

// TestRouteOffersNothing: what is not offered cannot be reached by its name, nor by way of
// another.
func TestRouteOffersNothing(t *testing.T) {
	own, other, third := bare("web", "app", "ssh"), bare("ops", "db", "ssh"), bare("ops", "log", "ssh")
	entry := own.Entry(&net.TCPAddr{})
	if _, err := entry.Route("ops/db"); !errors.Is(err, ErrNoRoute) {
		t.Errorf("nothing was offered: %v", err)
	}
	entry.Offer([]*Gate{other, third})
	led, err := entry.Route("ops/db")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := led.Route("ops/log"); !errors.Is(err, ErrNoRoute) {
		t.Errorf("it leads on: %v", err)
	}
}

// TestRoutedRecord: what is on record of a client is on record of the Connection that it was
// led to, with the one at whose address it came.
func TestRoutedRecord(t *testing.T) {
	w := newWorld(t, allowing)
	own := bare("web", "app", "postgres")
	entry := own.Entry(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 40000})
	entry.Offer([]*Gate{w.gate})
	opened := 0
	entry.OnGrant(func(*Grant) { opened++ })
	led, err := entry.Route("data/shop")
	if err != nil {
		t.Fatal(err)
	}
	w.verifyErr = identity.ErrRejected
	if _, err := led.Authenticate(t.Context(), identity.BearerToken("bad")); err == nil {
		t.Error("a bad token was taken")
	}
	w.verifyErr = nil
	caller, err := led.Authenticate(t.Context(), identity.BearerToken("good"))
	if err != nil {
		t.Fatal(err)
	}
	grant, err := caller.Authorize(t.Context(), record.Attribute{Name: "requestedUser", Value: "app"})
	if err != nil {
		t.Fatal(err)
	}
	defer grant.Close("")
	if opened != 1 || w.gate.Sessions() != 1 {
		t.Errorf("%d told to the server, %d at the gate", opened, w.gate.Sessions())
	}
	for kind, want := range map[record.Type][]record.Attribute{
		record.AuthenticationFailed: {{Name: "listener", Value: "web/app"}},
		record.SessionStart:         {{Name: "requestedUser", Value: "app"}, {Name: "listener", Value: "web/app"}},
	} {
		events := w.log.OfType(kind)
		if len(events) != 1 || events[0].Connection.Name != "shop" || events[0].ClientAddress != "192.0.2.7:40000" {
			t.Fatalf("%s: %+v", kind, events)
		}
		if diff := cmp.Diff(want, events[0].Attributes); diff != "" {
			t.Errorf("%s: -want +got:\n%s", kind, diff)
		}
	}
}
