// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// newPair is shop/orders, with an address, and ops/payments, which may be named there. Each has
// an sshd, and an authority of callers, of its own.
func newPair(tb testing.TB) (orders, payments *bench) {
	tb.Helper()
	orders = newBench(tb, startDaemon(tb))
	payments = newBench(tb, startDaemon(tb), func(c *protocoltest.Config, _ map[string]any) {
		c.Namespace, c.Name = "ops", "payments"
		c.IdentityProviders = []snapshot.IdentityProvider{{Name: "bank", Type: "OIDC", OIDC: &snapshot.OIDC{IssuerURL: "https://bank.example"}}}
	})
	orders.serve(tb, payments.Road)
	return orders, payments
}

// where prints the port of the sshd that runs it.
const where = `echo $SSH_CONNECTION | cut -d" " -f4`

// starts are the sessions on record.
func (b *bench) starts() []record.Event { return b.Log.OfType(record.SessionStart) }

// TestRoutesOfOpenSSH: OpenSSH's client comes to two Connections at one address, with one host key,
// and many programs on one connection to each. The end and the drain of one leave the other.
func TestRoutesOfOpenSSH(t *testing.T) {
	orders, payments := newPair(t)
	dir, err := os.MkdirTemp("", "cm") //nolint:usetesting // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	benches := map[string]*bench{"orders": orders, "payments": payments}
	users := map[string]string{"orders": loginUser, "payments": loginUser + "+payments"}
	socket := func(name string) string { return filepath.Join(dir, name) }
	run := func(name string) (string, int) {
		out, errs, status := finish(t, orders.ssh(t, "-S", socket(name), "-l", users[name], "GATEWAY", where), "")
		return strings.TrimSpace(out) + errs, status
	}
	for name, user := range users {
		t.Cleanup(background(t, orders.ssh(t, "-M", "-N", "-S", socket(name), "-l", user, "GATEWAY")))
		await(t, "master", func() bool { _, err := os.Stat(socket(name)); return err == nil })
	}
	for range 2 {
		for name, b := range benches {
			if out, status := run(name); out != strconv.Itoa(int(b.daemon.target.Port)) || status != 0 {
				t.Errorf("%s: at port %s, status %d, want the sshd at %d", name, out, status, b.daemon.target.Port)
			}
		}
	}
	for name, b := range benches {
		starts := b.starts()
		if len(starts) != 1 || starts[0].Connection.Name != name || !strings.HasPrefix(starts[0].Session, name+"-") {
			t.Fatalf("%s: sessions on record: %+v", name, starts)
		}
		if n := len(b.Log.OfType(record.OperationDecided)); n != 2 {
			t.Errorf("%s: %d operations on record, want its own two", name, n)
		}
	}
	if got := payments.starts()[0].Attributes; got[len(got)-1] != (record.Attribute{Name: "listener", Value: "shop/orders"}) {
		t.Errorf("attributes %v, want where the client came", got)
	}

	session := payments.starts()[0].Session
	if orders.Gate.Terminate(session, "why") || !payments.Gate.Terminate(session, "why") {
		t.Error("the session is not at its own gate")
	}
	await(t, "the master's end", func() bool { _, err := os.Stat(socket("payments")); return err != nil })
	payments.Gate.Drain()
	if out, status := run("payments"); status == 0 {
		t.Errorf("while it drains: %s", out)
	}
	if n := len(payments.starts()); n != 1 {
		t.Errorf("%d sessions on record while it drains", n)
	}
	if out, status := run("orders"); out != strconv.Itoa(int(orders.daemon.target.Port)) || status != 0 {
		t.Errorf("the other, meanwhile: %s %d", out, status)
	}
	if n := len(orders.Log.OfType(record.SessionEnd)); n != 0 || orders.Gate.Sessions() != 1 {
		t.Errorf("%d ends of the other on record, %d sessions live", n, orders.Gate.Sessions())
	}
}

// TestRoutesKeepApart: policies, roles at the target and approvals are those of the Connection that
// was named, and of no other.
func TestRoutesKeepApart(t *testing.T) {
	orders, payments := newPair(t)
	orders.allow(t, "exec id")
	payments.allow(t, "exec uptime")
	dial := func(user string) *ssh.Client {
		return orders.mustDial(t, func(c *ssh.ClientConfig) { c.User = user })
	}
	run := func(client *ssh.Client, line string) error {
		program, err := client.NewSession()
		if err != nil {
			return err
		}
		defer program.Close()
		return program.Run(line)
	}
	own, other := dial(loginUser), dial(loginUser+"+ops/payments")
	for name, test := range map[string]struct {
		client *ssh.Client
		line   string
		want   bool
	}{
		"own, its own":       {own, "id", true},
		"own, the other's":   {own, "uptime", false},
		"other, its own":     {other, "uptime", true},
		"other, the first's": {other, "id", false},
	} {
		if err := run(test.client, test.line); (err == nil) != test.want {
			t.Errorf("%s: %v, want allowed: %v", name, err, test.want)
		}
	}

	payments.Engine.Set(protocoltest.HoldAction("exec"))
	payments.Apply(t)
	held := make(chan error, 1)
	go func() { held <- run(other, "uptime") }()
	var asked *protocoltest.Pending
	select {
	case asked = <-payments.Approvals.Asked:
	case err := <-held:
		t.Fatalf("not held: %v", err)
	}
	if got := asked.Question.Connection; got.Name != "payments" {
		t.Errorf("asked about %+v", got)
	}
	if err := run(own, "id"); err != nil {
		t.Errorf("the other, while an operation is held: %v", err)
	}
	asked.Approve()
	if err := <-held; err != nil {
		t.Errorf("approved: %v", err)
	}
	if len(orders.Approvals.Asked) != 0 {
		t.Error("approvers of the listener's Connection were asked")
	}

	payments.Engine.SetTargetRole("nobody")
	payments.Apply(t)
	if _, err := dial(loginUser + "+payments").NewSession(); err == nil || !strings.Contains(err.Error(), "Connect as nobody+payments") {
		t.Errorf("the role of another: %v", err)
	}
	if err := run(dial(loginUser), "id"); err != nil {
		t.Errorf("the listener's own role: %v", err)
	}
	payments.Engine.RefuseConnect()
	payments.Apply(t)
	if _, err := dial(loginUser + "+payments").NewSession(); err == nil || !strings.Contains(err.Error(), `may not use connection \"payments\"`) && !strings.Contains(err.Error(), `may not use connection "payments"`) {
		t.Errorf("who is proven is told: %v", err)
	}
	if n := len(payments.Log.OfType(record.SessionRefused)); n != 1 || len(orders.Log.OfType(record.SessionRefused)) != 0 {
		t.Errorf("%d refusals on record of the Connection that refused, want 1", n)
	}
}

// TestRoutesTellNothing: who is not proven cannot tell a Connection that is not there from one that
// refuses him: neither by words, nor by methods, nor by time. On record is the truth, at the gate it
// concerns.
func TestRoutesTellNothing(t *testing.T) {
	orders, payments := newPair(t)
	away := newBench(t, orders.daemon, func(c *protocoltest.Config, _ map[string]any) { c.Namespace, c.Name = "ops", "archived" })
	away.Gate.Close(access.ErrDraining)
	twin := newBench(t, orders.daemon, func(c *protocoltest.Config, _ map[string]any) { c.Namespace, c.Name = "dev", "accounts" })
	also := newBench(t, orders.daemon, func(c *protocoltest.Config, _ map[string]any) { c.Namespace, c.Name = "ops", "accounts" })
	hidden := newBench(t, orders.daemon, func(c *protocoltest.Config, _ map[string]any) { c.Namespace, c.Name = "ops", "unlisted" })
	orders.serve(t, payments.Road, away.Road, twin.Road, also.Road)
	foreign, _ := newKey(t)
	attempts := map[string][]ssh.AuthMethod{
		"a wrong token":                   {ssh.Password("wrong")},
		"no token":                        {ssh.Password("")},
		"many tokens":                     {ssh.RetryableAuthMethod(ssh.Password("wrong"), 3)},
		"a token that was cut":            {ssh.Password(strings.Repeat("x", cutToken))},
		"a plain key":                     {ssh.PublicKeys(foreign)},
		"a certificate of nobody's":       {ssh.PublicKeys(certificate(t, foreign, "alice@example.com"))},
		"a certificate of the listener's": {ssh.PublicKeys(certificate(t, orders.authority, "alice@example.com"))},
		"one that has expired":            {ssh.PublicKeys(certificate(t, payments.authority, "alice@example.com", func(c *ssh.Certificate) { c.ValidBefore = c.ValidAfter + 1 }))},
	}
	for name, auth := range attempts {
		t.Run(name, func(t *testing.T) {
			// seen is all that a client sees of one attempt, but for the name that it gave.
			seen := func(connection string) string {
				var all strings.Builder
				questions := ssh.KeyboardInteractive(func(_, instruction string, questions []string, echos []bool) ([]string, error) {
					fmt.Fprintf(&all, "asked %q %q %v\n", instruction, questions, echos)
					return make([]string, len(questions)), nil
				})
				began := time.Now()
				_, err := orders.dial(t, func(c *ssh.ClientConfig) {
					c.User, c.Auth = loginUser+"+"+connection, append([]ssh.AuthMethod{questions}, auth...)
					c.BannerCallback = func(text string) error { all.WriteString(text); return nil }
				})
				if err == nil {
					t.Errorf("%s: let in", connection)
				}
				fmt.Fprintf(&all, "%v\n", err)
				if took := time.Since(began); strings.Contains(all.String(), "or it did not take") && took < evenly {
					t.Errorf("%s: refused after %s", connection, took)
				}
				return strings.ReplaceAll(all.String(), connection, "NAME")
			}
			names := []string{"invented", "payments", "ops/payments", "archived", "accounts", "unlisted", "ops/unlisted"}
			views := make([]string, len(names))
			var looking sync.WaitGroup
			for i, connection := range names {
				looking.Go(func() { views[i] = seen(connection) })
			}
			looking.Wait()
			missing := views[0]
			for i, got := range views {
				if got != missing {
					t.Errorf("%s: a client sees\n%s\nand of one that is not there\n%s", names[i], got, missing)
				}
			}
			if strings.Contains(missing, "bank") || strings.Contains(missing, "token was not accepted") {
				t.Errorf("told: %s", missing)
			}
		})
	}

	wrong := func(connection string) {
		_, _ = orders.dial(t, func(c *ssh.ClientConfig) {
			c.User, c.Auth = "+"+connection, []ssh.AuthMethod{ssh.Password("wrong")}
			c.BannerCallback = func(string) error { return nil }
		})
	}
	for name, test := range map[string]struct {
		connection string
		at         *bench
		reason     string
	}{
		"missing":            {"invented", orders, `no connection may be named so at this address: "invented"`},
		"unlisted":           {"unlisted", orders, `no connection may be named so at this address: "unlisted"`},
		"ambiguous":          {"accounts", orders, "name it with its namespace"},
		"refused":            {"payments", payments, "unknown token"},
		"closed":             {"archived", away, access.ErrDraining.Error()},
		"with its namespace": {"dev/accounts", twin, "unknown token"},
	} {
		t.Run("on record: "+name, func(t *testing.T) {
			// That nobody gave a token is on record when its client has left, which may be now.
			failures := func(b *bench) []record.Event {
				return slices.DeleteFunc(b.Log.OfType(record.AuthenticationFailed), func(e record.Event) bool { return e.Reason == "no token was given" })
			}
			all := map[*bench]int{}
			for _, b := range []*bench{orders, payments, away, twin, also, hidden} {
				all[b] = len(failures(b))
			}
			wrong(test.connection)
			for b, before := range all {
				failed := failures(b)[before:]
				if b != test.at {
					if len(failed) != 0 {
						t.Errorf("on record elsewhere: %+v", failed)
					}
					continue
				}
				if len(failed) != 1 || !strings.Contains(failed[0].Reason, test.reason) {
					t.Errorf("on record: %+v, want %q", failed, test.reason)
				}
			}
		})
	}
}

// says is a client's user name.
type says struct {
	ssh.ConnMetadata
	user string
}

func (s says) User() string { return s.user }

// TestRouteOfTheAttempt: a client may say another user name with each attempt, and is where the one
// that succeeded leads, not where another was offered a key (checklist 1).
func TestRouteOfTheAttempt(t *testing.T) {
	orders, payments := newPair(t)
	key := certificate(t, payments.authority, "alice@example.com").PublicKey()
	begin := func() *login {
		entry := orders.Gate.Entry(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 40000})
		entry.Offer([]*access.Gate{payments.Gate})
		return &login{ctx: deadline(t), entry: entry, over: func(error) {}}
	}
	for name, test := range map[string]struct {
		reason, offered, meanwhile, signed string
		want                               string // nobody where empty
	}{
		"Straight":  {"it is what it says", "+payments", "+payments", "+payments", "payments"},
		"Meanwhile": {"another was named between offer and signature", "+payments", "+orders", "+payments", "payments"},
		"Offered":   {"the offer was at a Connection that would take the key", "+payments", "+payments", "+orders", ""},
		"Missing":   {"the offer was at one that is there", "+payments", "+payments", "+invented", ""},
		"Signed":    {"the signature counts alone", "+orders", "+invented", "+payments", "payments"},
	} {
		t.Run(name, func(t *testing.T) {
			l := begin()
			permissions, err := l.offered(says{user: test.offered}, key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.password(says{user: test.meanwhile}, []byte("wrong")); err == nil {
				t.Fatal("a wrong token was taken")
			}
			permissions, err = l.signed(says{user: test.signed}, key, permissions, ssh.KeyAlgoED25519)
			if test.want == "" {
				if err == nil {
					t.Errorf("%s, and somebody was proven", test.reason)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", test.reason, err)
			}
			proven, _ := permissions.ExtraData[callerKey{}].(proof)
			if _, at := proven.entry.Connection(); at != test.want {
				t.Errorf("%s: at %q, want %q", test.reason, at, test.want)
			}
		})
	}
	// A login that ends while a refusal is held back does not wait.
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("over"))
	l := begin()
	l.ctx = ctx
	if _, err := l.password(says{user: "+invented"}, []byte("wrong")); err == nil {
		t.Error("a wrong token was taken")
	}
}
