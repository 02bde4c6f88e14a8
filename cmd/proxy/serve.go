// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	"github.com/doorward/doorward/cmd/profiles"
	"github.com/doorward/doorward/cmd/version"
	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/devicelogin"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/identity/sharing"
	"github.com/doorward/doorward/proxy/kube"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/server"
	"github.com/doorward/doorward/proxy/trace"
)

// feedSessions is the log's reader that shows sessions: a place of its own
// among those of the LogSinks.
var feedSessions = spool.ReaderName("kubernetes")

// holdStart keeps everything until the snapshots say who needs the records.
const holdStart = "no snapshot says yet who needs the records: look at the Connections' conditions"

// showTimeout bounds how long the ends of the last sessions may take to be shown.
const showTimeout = 3 * time.Second

// proxy is everything the connections share.
type proxy struct {
	options options
	log     logr.Logger
	client  *kube.Client
	// shows is for what is only shown, so that many sessions do not make an
	// approval wait its turn.
	shows *kube.Client
	// asks is for tokens of callers nobody knows yet, who must not make anything
	// else wait its turn; again is for those of live sessions.
	asks, again *kube.Client
	reviewer    *kube.TokenReviews
	spool       *spool.Log
	state       *spool.State
	nonce       string
	pool        *oidc.Pool
	sharing     *sharing.Detector
	// deviceLogins has callers log in by a browser.
	deviceLogins *devicelogin.Logins
	delivery     *server.Delivery
	// secrets are the credentials of LogSinks, by Connection; written before
	// anything is delivered.
	secrets  map[string]*kube.SinkSecrets
	sessions *kube.Sessions
	witness  *witnessing
	metrics  *server.Metrics
	tracer   *trace.Tracer // nil where there are no traces
	logins   *server.LoginMetrics
}

// serve runs the proxy until ctx ends. Parts end in the order in which the
// others stop needing them: listeners and sessions, then the log's readers,
// then what talks to the API server, then the log.
func serve(ctx context.Context, o options, log logr.Logger) (err error) {
	config, token, err := credentials(o, log)
	if err != nil {
		return err
	}
	var wrap func(http.RoundTripper) http.RoundTripper
	if token != nil {
		wrap = token.Wrap
	}
	p := &proxy{options: o, log: log, metrics: newMetrics(token)}
	p.logins = server.NewLoginMetrics(p.metrics.Registry())
	if p.client, err = kube.NewClient(config, wrap); err != nil {
		return err
	}
	defer p.client.Close()
	if p.shows, err = kube.NewClient(config, wrap); err != nil {
		return err
	}
	defer p.shows.Close()
	if p.asks, err = kube.NewClient(config, wrap); err != nil {
		return err
	}
	defer p.asks.Close()
	if p.again, err = kube.NewClient(config, wrap); err != nil {
		return err
	}
	defer p.again.Close()
	p.reviewer = kube.NewTokenReviews(p.asks, p.again, log)
	p.spool, err = spool.Open(ctx, spool.Options{
		Dir: o.spool, MaxBytes: o.spoolBytes, Sinks: []string{feedSessions}, Hold: holdStart, Witness: o.witness, KeyMaxAge: o.keyMaxAge,
		Committed:   p.metrics.Committed,
		AwaitRemote: func(ctx context.Context, index int64) error { return p.delivery.AwaitRemote(ctx, index) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.spool.Close()) }()
	if p.state, err = spool.OpenState(o.spool); err != nil {
		return err
	}
	if p.nonce, err = nonce(p.state, o.instance); err != nil {
		return err
	}
	p.pool = oidc.NewPool(context.WithoutCancel(ctx))
	defer p.pool.Close()
	p.sharing = sharing.New(o.sharing)
	p.deviceLogins = devicelogin.New()
	defer p.deviceLogins.Close()

	if p.tracer, err = trace.Start(ctx, trace.Options{Log: log, Version: version.String(), Instance: o.instance, ClientParents: o.clientParents}); err != nil {
		return err
	}
	defer p.stopTraces(context.WithoutCancel(ctx))

	// background lives on while sessions drain.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	if token != nil {
		running.Go(func() { token.Run(background, p.client) })
	}
	if err = p.run(ctx, background, &running); ctx.Err() != nil && errors.Is(err, context.Canceled) {
		// Told to stop before it served.
		err = nil
	}
	return err
}

// run serves with the log open.
func (p *proxy) run(ctx, background context.Context, running *sync.WaitGroup) error {
	if err := p.prepare(); err != nil {
		return err
	}
	if _, err := p.spool.Append(ctx, record.Event{
		Type: record.ProxyStart, Attributes: []record.Attribute{{Name: "instance", Value: p.options.instance}, {Name: "version", Value: version.String()}},
	}); err != nil {
		return err
	}
	defer p.deliver(background, running)()
	feed, err := p.spool.NewFeed(feedSessions)
	if err != nil {
		return err
	}
	events := kube.NewEvents(p.shows, p.options.instance, p.log)
	p.sessions = kube.NewSessions(p.shows, p.options.instance, feed, events, p.log)
	following, stopFollowing := context.WithCancel(background)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		p.sessions.Run(following)
	}()
	defer func() {
		stopFollowing()
		<-followed
		if err := feed.Close(); err != nil {
			p.log.Error(err, "Cannot keep the place in the log")
		}
	}()
	running.Go(func() { events.Run(background) })

	p.witness = newWitnessing(p)
	defer p.witness.end()
	if err := p.serveAll(ctx, background, running); err != nil {
		return err
	}
	if _, err := p.spool.Append(background, record.Event{Type: record.ProxyStop, Reason: "the proxy was told to stop"}); err != nil {
		return err
	}
	// The checkpoint that closes the log goes to the sinks like all else.
	if err := p.spool.Finish(background); err != nil {
		return err
	}
	var witnessed sync.WaitGroup
	witnessed.Go(p.witness.end)
	p.sessions.Await(p.spool.Durable(), showTimeout)
	witnessed.Wait()
	return nil
}

// serveAll serves every connection until ctx ends and the sessions are gone.
func (p *proxy) serveAll(ctx, background context.Context, running *sync.WaitGroup) error {
	p.watch()
	var endpoints []server.Endpoint
	checks := []server.Check{
		{Name: "log", Ready: p.spool.Err},
		// Whoever sends clients here must stop doing so while they are still taken.
		{Name: "proxy", Ready: func() error {
			if ctx.Err() != nil {
				return access.ErrDraining
			}
			return nil
		}},
	}
	var connections []*connection
	defer func() {
		for _, endpoint := range endpoints {
			// The server closes those that it serves.
			_ = endpoint.Listener.Close()
			for _, port := range endpoint.Also {
				_ = port.Listener.Close()
			}
		}
		for _, c := range connections {
			c.withdrawRecordings()
		}
	}()
	for _, name := range p.options.connections {
		c, err := p.connect(name)
		if err != nil {
			return err
		}
		listener, err := server.Listen(ctx, p.options.listen[name])
		if err != nil {
			return err
		}
		c.meet(listener.Addr())
		connections = append(connections, c)
		p.witness.serve(c)
		endpoints = append(endpoints, server.Endpoint{
			Name: name, Listener: listener, Gate: c.gate, Handler: c.protocols, ByName: p.options.byName[name],
		})
		if address := p.options.review[name]; address != "" {
			questions, err := server.Listen(ctx, address)
			if err != nil {
				return err
			}
			own := &endpoints[len(endpoints)-1]
			own.Also = append(own.Also, server.Port{Listener: questions, Handler: p.reviews(name)})
		}
		if err := c.offerRecordings(ctx); err != nil {
			return err
		}
		c.watchExpiry()
		checks = append(checks, server.Check{Name: "connection " + name, Ready: c.ready},
			server.Check{Name: "credential of connection " + name, Ready: c.unreadCredential})
	}
	health, err := server.Listen(ctx, p.options.healthAddress)
	if err != nil {
		return err
	}
	running.Go(func() {
		if err := server.ServeHealth(background, health, server.Health(p.metrics, p.log.WithName("readiness"), checks...)); err != nil {
			p.log.Error(err, "Health endpoint ended")
		}
	})
	private, err := profiles.Listen(ctx, p.options.pprofAddress)
	if err != nil {
		return err
	}
	if private != nil {
		running.Go(func() {
			if err := profiles.Serve(background, private); err != nil {
				p.log.Error(err, "Profiles ended")
			}
		})
	}
	// Who looks at targets, or gives recordings, writes records: it ends before the log is closed.
	watching, stop := context.WithCancel(background)
	var watches sync.WaitGroup
	defer watches.Wait()
	defer stop()
	for _, c := range connections {
		if err := c.claim(ctx); err != nil {
			return err
		}
		c.start(background, running)
		watches.Go(func() { c.logins.Run(watching) })
		watches.Go(func() { c.serveRecordings(watching) })
	}
	p.witness.begin(background)
	p.log.Info("Serving", "connections", p.options.connections, "instance", p.options.instance, "log", p.spool.ID())
	server.New(server.Options{
		Log: p.log, Metrics: p.metrics, ShutdownDelay: p.options.shutdownDelay, DrainTimeout: p.options.drainTimeout,
	}, endpoints...).Run(ctx)
	return nil
}

// credentials are how the API server knows this proxy.
func credentials(o options, log logr.Logger) (*rest.Config, *kube.Token, error) {
	if o.kubeconfig != "" {
		return kube.LoadKubeconfig(o.kubeconfig, log)
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, nil, fmt.Errorf("not in a pod, so give --kubeconfig: %w", err)
	}
	return config, nil, nil
}

// nonce tells this proxy from another with the same instance id. It stays with
// the log, which one process at a time can have open, so that a proxy that is
// started again is not taken for another.
func nonce(state *spool.State, instance string) (string, error) {
	name := "nonce/" + instance
	if state.Get(name) == 0 {
		var random [8]byte
		// crypto/rand.Read never fails on supported platforms (Go 1.24).
		_, _ = rand.Read(random[:])
		if err := state.Put(name, int64(binary.BigEndian.Uint64(random[:])>>1|1)); err != nil { //nolint:gosec // 63 bits fit
			return "", fmt.Errorf("cannot keep the instance's nonce: %w", err)
		}
	}
	return fmt.Sprintf("%016x", state.Get(name)), nil
}
