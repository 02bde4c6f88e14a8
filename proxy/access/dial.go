// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/doorward/doorward/proxy/snapshot"
)

// Accept proves a protocol to one target that answered. Nil takes the target;
// from then on its connection is the caller's of Dial to close. An error of
// Elsewhere has the next target tried, any other ends the search; Dial closes
// the connection then.
type Accept func(ctx context.Context, up Upstream) error

// Elsewhere marks an error of Accept: this target will not do, another of the
// Connection's may. Targets that were of no use are tried last for a while.
func Elsewhere(err error) error { return &elsewhere{err} }

type elsewhere struct{ cause error }

func (e *elsewhere) Error() string { return e.cause.Error() }
func (e *elsewhere) Unwrap() error { return e.cause }

// Dial reaches the targets under the configuration the session was opened with,
// one after the other, until one is taken.
func (g *Grant) Dial(ctx context.Context, accept Accept) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(g.ctx, func() { cancel(context.Cause(g.ctx)) })()
	defer g.dialing()()

	targets := g.opened.snapshot.Targets
	var failed error
	for _, target := range g.gate.targets.order(targets, time.Now()) {
		if refusal := g.ended(); refusal != nil {
			return refusal
		}
		began := g.Mark()
		err := g.attempt(ctx, target, accept)
		for _, w := range g.watchers {
			w.Dialed(target, began, time.Since(began), blamed(err))
		}
		if refusal := g.ended(); refusal != nil && err != nil {
			return refusal
		}
		var next *elsewhere
		switch {
		case err == nil:
			g.gate.targets.good(target)
			return nil
		case !errors.As(err, &next):
			return err
		case ctx.Err() != nil:
			// The caller gave up, which says nothing of the target.
			return next.cause
		}
		failed = next.cause
		if len(targets) > 1 {
			g.gate.targets.bad(target, time.Now())
		}
	}
	if failed == nil {
		failed = g.unreachable(errors.New("the connection names no target"))
	}
	return failed
}

// blamed is an error of an attempt as long as it is not the caller's: a target that
// answers what the caller chose with a refusal was reached and does its work.
func blamed(err error) error {
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) && refusal.Reason == ReasonProtocol {
		return nil
	}
	return err
}

// attempt reaches one target and has it accepted.
func (g *Grant) attempt(ctx context.Context, target snapshot.Target, accept Accept) error {
	up, err := g.reach(ctx, target)
	if err != nil {
		return Elsewhere(err)
	}
	if err := accept(ctx, up); err != nil {
		_ = up.Conn.Close() // often closed already
		return err
	}
	// A target that takes no more bytes must not keep an ended session alive.
	context.AfterFunc(g.ctx, func() {
		time.AfterFunc(cutAfter, func() { _ = up.Conn.Close() })
	})
	return nil
}

// cutAfter is how long a protocol has to part with the target once its session
// has ended.
const cutAfter = 5 * time.Second

// Redial reaches one target of the session's configuration again, such as the
// very address that a request to cancel must go to.
func (g *Grant) Redial(ctx context.Context, target snapshot.Target) (Upstream, error) {
	return g.reach(ctx, target)
}

// reach connects to one target. Its refusal is told to the operators.
func (g *Grant) reach(ctx context.Context, target snapshot.Target) (Upstream, error) {
	only := *g.opened.snapshot
	only.Targets = []snapshot.Target{target}
	up, err := g.gate.config.Dialer.Dial(ctx, &only)
	if err != nil {
		if ctx.Err() == nil {
			err = g.unreachable(err)
			g.gate.tell(err)
			return Upstream{}, err
		}
		return Upstream{}, g.unreachable(err)
	}
	g.gate.reached(target, time.Now())
	return up, nil
}

func (g *Grant) unreachable(cause error) error {
	return unavailable(
		fmt.Sprintf("the target of connection %q cannot be reached", g.gate.config.Connection.Name),
		"Run: "+g.gate.describe(), cause)
}

// Trouble tells the operators what a target did wrong; the caller never sees
// the cause. The refusal is what the caller is told.
func (g *Grant) Trouble(refusal *Refusal, cause error) *Refusal {
	told := *refusal
	told.cause = cause
	g.gate.tell(&told)
	return refusal
}

// TLS is how the target's certificate is verified; nil where the Connection
// says Disabled. Without it no clear-text or MD5 password may be sent.
func (g *Grant) TLS(target snapshot.Target) (*tls.Config, error) {
	return targetTLS(g.opened.snapshot, target, g.gate)
}

func targetTLS(s *snapshot.Snapshot, target snapshot.Target, gate *Gate) (*tls.Config, error) {
	settings := s.TLS
	if settings.Mode == "Disabled" {
		return nil, nil //nolint:nilnil // nil is tls.Config's own word for "no TLS"
	}
	config := &tls.Config{ServerName: settings.ServerName, MinVersion: tls.VersionTLS12}
	if config.ServerName == "" {
		config.ServerName = target.Host
	}
	if settings.CA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(settings.CA)) {
			return nil, unavailable("the CA bundle of spec.tls.ca holds no certificate", "Run: "+gate.describe(), nil)
		}
	}
	return config, nil
}

// Options are the Connection's spec.options under which the session was opened.
func (g *Grant) Options() json.RawMessage { return g.opened.snapshot.Options }
