// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/load"
	"github.com/doorward/doorward/test/stack"
)

// The tests of docs/operations/keys.md replace each key under a steady load, and
// hold what the page says is felt against what the clients felt.

// ledger makes the tables that the load works on.
var ledger = sync.OnceValue(func() error {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	owner, err := pgconn.Connect(ctx, world.Postgres.DSN(stack.Role, world.Canary, stack.Database))
	if err != nil {
		return err
	}
	_, err = owner.Exec(ctx, load.LedgerSQL).ReadAll()
	return errors.Join(err, owner.Close(ctx))
})

// loader is who works in the load.
const loader = "loader"

// admitLoad makes what the load works on, and the policy that lets it.
func admitLoad(t *testing.T) {
	t.Helper()
	must(t, ledger())
	policy := reader(loader, "public.pages")
	rule := &policy.Spec.Rules[1]
	rule.Actions, rule.Resources = []string{"select", "insert"}, []string{"public.ledger", "public.pages"}
	give(t, policy)
}

// authorities returns the PEM text of those that a client trusts.
type authorities func(context.Context) ([]byte, error)

// published are the authorities that are in the ConfigMap at present.
func published(ctx context.Context) ([]byte, error) {
	var bundle corev1.ConfigMap
	err := world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: "doorward-trust-bundle"}, &bundle)
	return []byte(bundle.Data["ca.crt"]), err
}

// taken are the authorities that were in the ConfigMap when they were taken.
func taken(t *testing.T) authorities {
	t.Helper()
	bundle, err := published(t.Context())
	must(t, err)
	return func(context.Context) ([]byte, error) { return bundle, nil }
}

// steady has clients keep sessions at some proxies, and others come and go, until
// the test ends. Half of them try one proxy first, half the other.
func steady(t *testing.T, trust authorities, proxies ...*stack.Proxy) *load.Load {
	t.Helper()
	l := load.Start(t.Context(), load.Options{
		Label: strings.ToLower(t.Name()), Clients: 4, Visitors: 2, Interval: 50 * time.Millisecond, Seed: 1,
		Config: func(ctx context.Context, client int) (*pgconn.Config, error) {
			bundle, err := trust(ctx)
			if err != nil {
				return nil, err
			}
			return comesBy(bundle, append(append([]*stack.Proxy(nil), proxies[client%len(proxies):]...), proxies[:client%len(proxies)]...))
		},
	})
	t.Cleanup(l.End)
	await(t, "the first answers to the load", func(context.Context) error { return l.Served(time.Time{}) })
	return l
}

// comesBy is how a client connects that knows several proxies' addresses.
func comesBy(bundle []byte, proxies []*stack.Proxy) (*pgconn.Config, error) {
	var hosts, ports []string
	for _, proxy := range proxies {
		_, port, err := net.SplitHostPort(proxy.Address)
		if err != nil {
			return nil, err
		}
		hosts, ports = append(hosts, "localhost"), append(ports, port)
	}
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%s dbname=%s user=doorward sslmode=verify-full connect_timeout=20",
		strings.Join(hosts, ","), strings.Join(ports, ","), stack.Database))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	config.TLSConfig.RootCAs = roots
	for _, other := range config.Fallbacks {
		other.TLSConfig.RootCAs = roots
	}
	config.Password, err = world.Issuer.Token(stack.GatewayAudience, loader)
	return config, err
}

// serves waits until everybody was answered something that was asked after now.
func serves(t *testing.T, l *load.Load) {
	t.Helper()
	now := time.Now()
	await(t, "answers to the load", func(context.Context) error { return l.Served(now) })
}

// unfelt fails the test where a client felt anything since a window was opened: a
// session that was cut, an operation that was refused or not answered, a login
// that failed.
func unfelt(t *testing.T, what string, l *load.Load, w *load.Window) {
	t.Helper()
	serves(t, l)
	w.Close()
	if len(w.Live) == 0 || w.Answered() == 0 {
		t.Errorf("%s: there was no load: %d sessions, %d answers", what, len(w.Live), w.Answered())
	}
	if len(w.Lost)+len(w.Doubt)+w.Refused+len(w.FailedLogins) > 0 {
		t.Errorf("%s was felt: sessions lost %v, operations without an answer %v, %d refused, logins that failed %v",
			what, w.Lost, w.Doubt, w.Refused, w.FailedLogins)
	}
	t.Logf("%s: nobody of %d sessions felt it, %d operations were answered meanwhile; the longest wait was %s, at a login %s",
		what, len(w.Live), w.Answered(), short(w.Longest), short(w.LongestLogin))
}

// secret names a Secret.
func secret(namespace, name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// contents are those of a Secret.
func contents(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	object := secret(namespace, name)
	err := world.Admin.Get(ctx, client.ObjectKeyFromObject(object), object)
	return object.Data, err
}

// mine is what a statement of one column and row is answered to somebody's session.
func mine(ctx context.Context, s *session, statement string) (string, error) {
	results, err := s.Exec(ctx, statement).ReadAll()
	if err != nil {
		return "", err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 1 {
		return "", fmt.Errorf("%q is answered with %d results", statement, len(results))
	}
	return string(results[0].Rows[0][0]), nil
}

// asked opens a session, asks for one value, and leaves.
func asked(ctx context.Context, t *testing.T, proxy *stack.Proxy, user, statement string, groups ...string) (string, error) {
	t.Helper()
	s, err := dial(ctx, t, proxy, user, groups...)
	if err != nil {
		return "", err
	}
	value, err := mine(ctx, s, statement)
	return value, errors.Join(err, s.Close(ctx))
}

// message is what an instance reports to be wrong; empty where nothing is.
func message(ctx context.Context, instance string) (string, error) {
	object, err := connection(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range object.Status.Proxies {
		if p.Instance == instance {
			return p.Message, nil
		}
	}
	return "", fmt.Errorf("no proxy %q among %+v", instance, object.Status.Proxies)
}

// firstInstance is the shop's own proxy.
const firstInstance = stack.Connection + "-1"

// held has somebody run a statement that waits for approval, and returns the
// request for it and what comes of the statement.
func held(t *testing.T, s *session, statement string) (*v1alpha1.ApprovalRequest, <-chan error) {
	t.Helper()
	answer := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*testTimeout)
	var waited sync.WaitGroup
	waited.Go(func() { answer <- s.run(ctx, statement) })
	t.Cleanup(func() { cancel(); waited.Wait() })
	var request *v1alpha1.ApprovalRequest
	await(t, "a request for approval", func(ctx context.Context) error {
		var all v1alpha1.ApprovalRequestList
		if err := world.Admin.List(ctx, &all, client.InNamespace(stack.Namespace)); err != nil {
			return err
		}
		for i := range all.Items {
			if r := &all.Items[i]; r.Spec.Operation.Statement == statement && r.Status.Phase == v1alpha1.ApprovalPending {
				request = r
				return nil
			}
		}
		return fmt.Errorf("none of %d is for %q and pending", len(all.Items), statement)
	})
	return request, answer
}
