// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package directway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/proxy/egress"
	"github.com/doorward/doorward/test/proc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var shop = types.NamespacedName{Namespace: "data", Name: "shop"}

type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// TestTry: what each answer comes to. That the target is closed says something only
// where the proxies are open.
func TestTry(t *testing.T) {
	var (
		refused = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		silent  = &net.OpError{Op: "dial", Err: timeout{}}
		nowhere = &net.OpError{Op: "dial", Err: &net.DNSError{Name: "db", IsNotFound: true}}
		noDNS   = &net.OpError{Op: "dial", Err: &net.DNSError{Name: "db", IsTimeout: true}}
		noRoute = &net.OpError{Op: "dial", Err: syscall.ENETUNREACH}

		metadata = egress.Check(netip.MustParseAddr("fd00:ec2::254"))
	)
	for name, tc := range map[string]struct {
		reason  string
		answers map[string]error
		want    Result
	}{
		"Open":           {"one is enough", map[string]error{"a:1": refused, "b:1": nil}, Result{Open: []string{"b:1"}, Closed: []string{"a:1"}}},
		"Refused":        {"and the proxies answer", map[string]error{"a:1": refused, "b:1": silent}, Result{Closed: []string{"a:1", "b:1"}}},
		"AllClosed":      {"the manager may not get out at all", map[string]error{"a:1": silent, "b:1": silent, "proxy:1": silent}, Result{Closed: []string{"a:1", "b:1"}, Control: "no answer"}},
		"UnknownName":    {"nothing was tried", map[string]error{"a:1": nowhere, "b:1": nowhere}, Result{Untold: `"a:1": the name is unknown`}},
		"NoDNS":          {"a lookup that takes too long is no closed way", map[string]error{"a:1": noDNS, "b:1": refused}, Result{Closed: []string{"b:1"}, Untold: `"a:1": the name could not be looked up`}},
		"NoRoute":        {"the manager's own network", map[string]error{"a:1": noRoute, "b:1": noRoute}, Result{Untold: `"a:1": network is unreachable`}},
		"ProxiesRefuse":  {"they are not there", map[string]error{"a:1": refused, "b:1": refused, "proxy:1": refused}, Result{Closed: []string{"a:1", "b:1"}, Control: "connection refused"}},
		"NotPermitted":   {"an address of a cloud's", map[string]error{"a:1": &net.OpError{Op: "dial", Err: metadata}, "b:1": refused}, Result{Closed: []string{"b:1"}, Untold: `"a:1": ` + metadata.Error()}},
		"OpenAndUntold":  {"what is known is said", map[string]error{"a:1": nowhere, "b:1": nil}, Result{Open: []string{"b:1"}, Untold: `"a:1": the name is unknown`}},
		"ControlNoRoute": {"whatever the error", map[string]error{"a:1": refused, "b:1": refused, "proxy:1": noRoute}, Result{Closed: []string{"a:1", "b:1"}, Control: "network is unreachable"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(Options{From: "here"})
			p.dial = func(_ context.Context, address string) error { return tc.answers[address] }
			tc.want.From = "here"
			began := time.Now()
			got := p.try(t.Context(), Target{Addresses: []string{"a:1", "b:1"}, Control: "proxy:1"})
			if got.At.Before(began) || !got.Until.Equal(got.At.Add(3*DefaultInterval)) {
				t.Errorf("at %s, until %s: want three intervals from %s on", got.At, got.Until, began)
			}
			got.At, got.Until = time.Time{}, time.Time{}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestPermitted is checklist 25: names that an admin wrote lead to no port of the
// manager itself, nor to a cloud's metadata service.
func TestPermitted(t *testing.T) {
	p := New(Options{})
	for _, address := range []string{
		"127.0.0.1", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "224.0.0.1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
		"fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1",
	} {
		if err := p.permitted(netip.MustParseAddr(address).Unmap()); !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("%s: %v", address, err)
		}
		if err := p.dialTCP(t.Context(), net.JoinHostPort(address, "9")); !errors.Is(err, egress.ErrForbidden) || closed(err) {
			t.Errorf("dial %s: %v", address, err)
		}
	}
	for _, address := range []string{"10.1.2.3", "192.0.2.1", "2001:db8::1", "fd00::1"} {
		if err := p.permitted(netip.MustParseAddr(address)); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestNothingIsSent: the connection is closed without a byte.
func TestNothingIsSent(t *testing.T) {
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := make(chan []byte, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			got <- []byte(err.Error())
			return
		}
		defer conn.Close()
		data, _ := io.ReadAll(conn)
		got <- data
	}()
	p := New(Options{Loopback: true})
	if err := p.dialTCP(t.Context(), listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if data := <-got; len(data) != 0 {
		t.Errorf("sent %q", data)
	}
	_ = listener.Close()
	address, err := proc.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.dialTCP(t.Context(), address); !closed(err) {
		t.Errorf("a port that nobody listens on: %v", err)
	}
}

// TestProber: soon, then at the interval; changes are told, and an address is tried
// once for all who want it.
func TestProber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		tries, at, most := 0, 0, 0
		answer := error(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
		var told []Result
		p := New(Options{From: "here", Interval: time.Minute, Changed: func(_ types.NamespacedName, _, now Result) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, now)
		}})
		p.dial = func(context.Context, string) error {
			mu.Lock()
			tries++
			at++
			most = max(most, at)
			mu.Unlock()
			<-time.After(time.Second)
			mu.Lock()
			defer mu.Unlock()
			at--
			return answer
		}
		// pass lets time go by and looks: tries, tries at once, and changes that were told.
		pass := func(d time.Duration) [3]int {
			<-time.After(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return [3]int{tries, most, len(told)}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = p.Start(ctx)
		}()
		if _, known := p.Result(shop); known {
			t.Error("known before it was tried")
		}
		p.Want(shop, Target{UID: "1", Addresses: []string{"db:5432"}})
		p.Want(types.NamespacedName{Namespace: "data", Name: "twin"}, Target{UID: "2", Addresses: []string{"db:5432"}})
		seen := pass(5 * time.Second)
		if r, known := p.Result(shop); !known || len(r.Closed) != 1 || seen != [3]int{1, 1, 2} {
			t.Errorf("%+v, %t: %d", r, known, seen)
		}
		p.Forget(types.NamespacedName{Namespace: "data", Name: "twin"})
		if seen := pass(40 * time.Second); seen != [3]int{1, 1, 2} {
			t.Errorf("before the interval was over: %d", seen)
		}
		if seen := pass(40 * time.Second); seen != [3]int{2, 1, 2} {
			t.Errorf("after it: %d", seen)
		}
		mu.Lock()
		answer = nil
		mu.Unlock()
		p.Want(shop, Target{UID: "1", Addresses: []string{"db:5432"}})
		seen = pass(80 * time.Second)
		if r, _ := p.Result(shop); len(r.Open) != 1 || seen[2] != 3 {
			t.Errorf("%+v: %d", r, seen)
		}
		// Another target is another question.
		p.Want(shop, Target{UID: "1", Addresses: []string{"other:5432"}})
		if _, known := p.Result(shop); known {
			t.Error("the answer is of another target")
		}
		cancel()
		<-done
	})
}

// TestSame: another address that is open is another result.
func TestSame(t *testing.T) {
	before := Result{Open: []string{"a:1"}, Closed: []string{"b:1"}}
	if !before.same(Result{Open: []string{"a:1"}, Closed: []string{"b:1"}}) || before.same(Result{Open: []string{"b:1"}, Closed: []string{"a:1"}}) {
		t.Error("addresses do not tell results apart")
	}
}

// TestFigures: a Connection that was not tried, or not for long, has no figure.
func TestFigures(t *testing.T) {
	p := New(Options{})
	fresh := time.Now().Add(time.Hour)
	p.wanted[shop] = &wanted{result: &Result{Until: fresh, Open: []string{"db:1"}}}
	p.wanted[types.NamespacedName{Namespace: "data", Name: "closed"}] = &wanted{result: &Result{Until: fresh, Closed: []string{"db:1"}}}
	p.wanted[types.NamespacedName{Namespace: "data", Name: "new"}] = &wanted{}
	p.wanted[types.NamespacedName{Namespace: "data", Name: "lost"}] = &wanted{result: &Result{Until: fresh, Untold: "x"}}
	p.wanted[types.NamespacedName{Namespace: "data", Name: "old"}] = &wanted{result: &Result{Until: time.Now().Add(-time.Second), Closed: []string{"db:1"}}}
	p.wanted[types.NamespacedName{Namespace: "data", Name: "openOnce"}] = &wanted{result: &Result{Until: time.Now().Add(-time.Second), Open: []string{"db:1"}}}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(p)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%v, %v", families, err)
	}
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
	}
	if diff := cmp.Diff(map[string]float64{"data/shop": 1, "data/openOnce": 1, "data/closed": 0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
