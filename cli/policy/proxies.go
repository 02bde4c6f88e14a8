// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/endpoint"
	"github.com/doorward/doorward/cli/forward"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/review/wire"
)

// Bounds of many questions at once. Each is a record at its proxy, and may be a forwarded
// port of the API server.
const (
	// MostAsked is how many Connections are asked about.
	MostAsked = 100
	// atOnce is how many at the same time, eachTimeout how long one may take.
	atOnce      = 16
	eachTimeout = 10 * time.Second
)

// Proxies asks the proxies of Connections what the holder of a token may do there. It
// finds them by themselves, and is told from others by the trust bundle. Fit for use by
// several goroutines.
type Proxies struct {
	flags  *ProxyFlags
	token  string
	config *rest.Config
	reader client.Reader
	// rights asks about one Connection.
	rights func(context.Context, *v1alpha1.Connection) Rights

	mu sync.Mutex // guards pem
	// pem are the authorities of each namespace.
	pem map[string]func() ([]byte, error)
}

// NewProxies makes Proxies for who holds a token, and has the flags' rights in the cluster.
func NewProxies(kubectl *genericclioptions.ConfigFlags, flags *ProxyFlags, token string) (*Proxies, error) {
	config, err := kubectl.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("cannot tell which cluster is meant: %w", err)
	}
	reader, err := (&cluster.Flags{ConfigFlags: kubectl}).Client()
	if err != nil {
		return nil, err
	}
	p := &Proxies{flags: flags, token: token, config: config, reader: reader, pem: map[string]func() ([]byte, error){}}
	p.rights = p.rightsOn
	return p, nil
}

// Rights asks about Connections, MostAsked of them at most, several at once. What is not
// known has an Err that is an *Unanswered.
func (p *Proxies) Rights(ctx context.Context, connections []*v1alpha1.Connection) map[client.ObjectKey]Rights {
	all := make([]Rights, len(connections))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, c := range connections {
		if i >= MostAsked {
			all[i].Err = unanswered("not asked", "at most %d proxies are asked at once: ask about fewer Connections with --selector", MostAsked)
			continue
		}
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, eachTimeout)
			defer cancel()
			all[i] = p.rights(ctx, c)
			return nil
		})
	}
	_ = group.Wait() // each has its own error
	known := make(map[client.ObjectKey]Rights, len(connections))
	for i, c := range connections {
		known[client.ObjectKeyFromObject(c)] = all[i]
	}
	return known
}

func (p *Proxies) rightsOn(ctx context.Context, c *v1alpha1.Connection) Rights {
	question := wire.SelfRulesReview{TypeMeta: wire.TypeMeta{APIVersion: wire.Version, Kind: wire.RulesKind}, Spec: wire.RulesSpec{Connection: named(c)}}
	answer := &wire.SelfRulesReview{}
	if err := p.ask(ctx, c, wire.RulesPath, question, answer); err != nil {
		return Rights{Err: err}
	}
	if answer.Status == nil {
		return Rights{Err: errNoAnswer}
	}
	return rightsOf(answer.Status)
}

func named(c *v1alpha1.Connection) wire.Connection {
	return wire.Connection{Namespace: c.Namespace, Name: c.Name}
}

// rightsOf puts a proxy's answer in our words. What it says that is not known here permits
// nothing.
func rightsOf(status *wire.RulesStatus) Rights {
	r := Rights{Connect: effectOf(status.Connect), Message: status.Message, Module: status.Incomplete, Restricted: status.Restricted}
	for _, rule := range status.Rules {
		switch effectOf(rule.Effect) {
		case policy.Allow:
			r.Allowed = append(r.Allowed, rule.Actions...)
		case policy.RequireApproval:
			r.Approval = append(r.Approval, rule.Actions...)
		case policy.Deny:
		}
	}
	r.Allowed, r.Approval = distinct(r.Allowed), distinct(r.Approval)
	return r
}

// ask puts a question to the proxy of a Connection. An error is an *Unanswered.
func (p *Proxies) ask(ctx context.Context, c *v1alpha1.Connection, path string, question, answer any) error {
	address, err := questions(c)
	if err != nil {
		return err
	}
	pem, err := p.authorities(ctx, c.Namespace)
	if err != nil {
		return p.explain(ctx, c, address, err)
	}
	roots, err := pool(pem, "the authorities that sign proxies' certificates in namespace "+c.Namespace)
	if err != nil {
		return unanswered("not trusted", "%w", err)
	}
	way, err := endpoint.Reach(ctx, p.config, p.flags.Forward, c.Namespace, address, wire.PortName)
	if err != nil {
		return unanswered("not reached", "%w", err)
	}
	defer way.Close()
	dial, err := way.Address(ctx)
	if err != nil {
		return p.explain(ctx, c, address, err)
	}
	asking := newProxyClient(address, dial, p.token, roots)
	defer asking.close()
	return p.explain(ctx, c, address, asking.ask(ctx, path, question, answer))
}

// questions is where the proxy of a Connection answers questions, as host:port: beside
// where it serves.
func questions(c *v1alpha1.Connection) (string, error) {
	host, text, err := net.SplitHostPort(c.Status.Endpoint)
	served, portErr := strconv.ParseInt(text, 10, 32)
	if errors.Join(err, portErr) != nil {
		return "", unanswered("no endpoint", "it has no endpoint yet: see \"kubectl -n %s describe connection %s\"", c.Namespace, c.Name)
	}
	return net.JoinHostPort(host, strconv.Itoa(int(wire.Port(int32(served))))), nil
}

// authorities are those of a namespace, which is asked once.
func (p *Proxies) authorities(ctx context.Context, namespace string) ([]byte, error) {
	p.mu.Lock()
	once, found := p.pem[namespace]
	if !found {
		once = sync.OnceValues(func() ([]byte, error) {
			return endpoint.Authorities(ctx, p.reader, namespace, p.flags.CAFile, forward.Role)
		})
		p.pem[namespace] = once
	}
	p.mu.Unlock()
	return once()
}

// explain says what became of a question in a few words, and what to do.
func (p *Proxies) explain(ctx context.Context, c *v1alpha1.Connection, address string, err error) error {
	var known *Unanswered
	elsewhere := fmt.Sprintf("if it answers questions at another address, ask there: kubectl doorward policy can-i -n %s -c %s --proxy HOST:PORT", c.Namespace, c.Name)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known) && known.Short == "not reached":
		return unanswered(known.Short, "%w: %s", err, elsewhere)
	case errors.As(err, &known):
		return err
	case apierrors.IsForbidden(err):
		return unanswered("not permitted", "%w", err)
	case errors.Is(err, forward.ErrNotForwarded):
		return unanswered("no port-forward", "%w", err)
	case errors.Is(err, forward.ErrNoPod):
		return unanswered("no proxy", "%w", err)
	case errors.Is(err, forward.ErrNoPort):
		return unanswered("not reached", "%w: its proxy does not answer questions, or is of an older version; %s", err, elsewhere)
	case ctx.Err() != nil:
		return unanswered("no answer in time", "cannot ask the proxy at %s: %w", address, err)
	}
	return unanswered("not reached", "%w: %s", err, elsewhere)
}
