// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/snapshot"
)

// How long a target that could not be looked at is left alone, doubling, and how
// long one login is used to look: the next is with the credential of that time.
const (
	watchPause    = time.Second
	watchPauseMax = 2 * time.Minute
	watchLife     = 15 * time.Minute
)

// Logins looks at who is logged in at the targets of one Connection, where its
// protocol can.
type Logins struct {
	// Connection is namespace/name.
	Connection string
	Gate       *access.Gate
	Protocols  *Protocols
	Metrics    *LoginMetrics
	Log        logr.Logger
	// Changed, where not nil, is called when State has changed.
	Changed func()
	// Every is how often to look; access.LookEvery where zero.
	Every time.Duration

	mu     sync.Mutex // guards what follows
	wanted *snapshot.Snapshot
	change chan struct{} // closed when another snapshot is wanted
	states map[snapshot.Target]error
}

// Want follows a snapshot that came into force; nil has nobody look.
func (l *Logins) Want(s *snapshot.Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wanted == s || l.wanted != nil && s != nil && sameWay(l.wanted, s) {
		return
	}
	l.wanted = s
	if l.change != nil {
		close(l.change)
		l.change = nil
	}
}

// sameWay says whether two snapshots lead to the same targets in the same way.
func sameWay(a, b *snapshot.Snapshot) bool {
	return a.Connection.UID == b.Connection.UID && a.Protocol == b.Protocol && a.TLS == b.TLS && a.Credential == b.Credential &&
		slices.Equal(a.Targets, b.Targets) && bytes.Equal(a.Options, b.Options)
}

// State says whether logins are watched, whether at a target not even those are told
// that are called after this proxy's own, and why not all can be; nil for nothing of
// the kind.
func (l *Logins) State() (watched, blind bool, trouble error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, target := range l.targets() {
		err, known := l.states[target]
		watched = watched || known
		if err == nil {
			continue
		}
		var others *access.OthersUntold
		blind = blind || !errors.As(err, &others)
		if trouble == nil {
			trouble = fmt.Errorf("target %q: %w", target.Address(), err)
		}
	}
	return watched, blind, trouble
}

func (l *Logins) targets() []snapshot.Target {
	if l.wanted == nil {
		return nil
	}
	return l.wanted.Targets
}

// Run looks until ctx ends.
func (l *Logins) Run(ctx context.Context) {
	for ctx.Err() == nil {
		l.mu.Lock()
		s := l.wanted
		if l.change == nil {
			l.change = make(chan struct{})
		}
		change := l.change
		l.states = map[snapshot.Target]error{}
		l.mu.Unlock()
		l.Metrics.blind.WithLabelValues(l.Connection).Set(0) // nobody looks any more who could not see
		l.runOne(ctx, s, change)
	}
}

// runOne looks under one snapshot until another is wanted.
func (l *Logins) runOne(ctx context.Context, s *snapshot.Snapshot, change <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	if watcher := l.Protocols.watcher(); s != nil && watcher != nil {
		for _, target := range s.Targets {
			running.Go(func() { l.watch(ctx, watcher, s, target) })
		}
	}
	select {
	case <-ctx.Done():
	case <-change:
	}
}

// watch looks at one target, again and again.
func (l *Logins) watch(ctx context.Context, watcher protocol.LoginWatcher, s *snapshot.Snapshot, target snapshot.Target) {
	log := l.Log.WithValues("target", target.Address())
	pause := watchPause
	watch := l.Gate.NewLoginWatch(s, target, access.LoginWatchOptions{
		Every: l.Every,
		Found: func(found access.ForeignLogin) {
			l.Metrics.found(l.Connection, found.OwnRole)
			log.Info("Login that no proxy made", "login", found.ID, "role", found.Role, "address", found.Address, "name", found.Name, "why", found.Why)
			l.changed()
		},
		Looked: func(err error) {
			pause = watchPause
			if l.set(target, err) && err != nil {
				log.Error(err, "Not all who are logged in can be told")
			}
		},
	})
	for ctx.Err() == nil {
		err := l.once(ctx, watcher, watch)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, access.ErrNotWatched):
			return
		case err == nil:
			continue // the life of one login is over
		}
		l.set(target, err)
		if !errors.Is(err, access.ErrStale) { // that is told by whoever keeps the proof
			log.Error(err, "Cannot look at who is logged in", "retryAfter", pause.String())
		}
		if within(ctx.Done(), pause) {
			return
		}
		pause = min(2*pause, watchPauseMax)
	}
}

// once looks for the life of one login. A protocol that panics must not end the
// sessions.
func (l *Logins) once(ctx context.Context, watcher protocol.LoginWatcher, watch *access.LoginWatch) (err error) {
	life, cancel := context.WithTimeout(ctx, watchLife)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			// The value may hold bytes of the connection: its type must do.
			err = fmt.Errorf("the protocol panicked: %T", r)
		}
	}()
	if err = watcher.WatchLogins(life, watch); life.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// set remembers how the last look went, and says whether that is another way than
// before.
func (l *Logins) set(target snapshot.Target, err error) bool {
	l.mu.Lock()
	before, known := l.states[target]
	l.states[target] = err
	blind := 0.0
	for _, e := range l.states {
		if e != nil {
			blind = 1
		}
	}
	l.mu.Unlock()
	l.Metrics.blind.WithLabelValues(l.Connection).Set(blind)
	turned := !known || (before == nil) != (err == nil)
	if turned {
		l.changed()
	}
	return turned
}

func (l *Logins) changed() {
	if l.Changed != nil {
		l.Changed()
	}
}

// watcher is the protocol in use, where it can see who is logged in.
func (p *Protocols) watcher() protocol.LoginWatcher {
	p.mu.Lock()
	defer p.mu.Unlock()
	watcher, _ := p.current.(protocol.LoginWatcher)
	return watcher
}

// LoginMetrics are the figures of logins at targets.
type LoginMetrics struct {
	foreign *prometheus.CounterVec
	blind   *prometheus.GaugeVec
}

// NewLoginMetrics registers the figures.
func NewLoginMetrics(registry prometheus.Registerer) *LoginMetrics {
	m := &LoginMetrics{
		foreign: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "doorward", Name: "foreign_logins_total",
			Help: "Logins at the target that no proxy made; role is own where they have the stored credential's, else other.",
		}, []string{"connection", "role"}),
		blind: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "doorward", Name: "login_watch_blind", Help: "1 where the last look at who is logged in at a target failed, else 0.",
		}, []string{"connection"}),
	}
	registry.MustRegister(m.foreign, m.blind)
	return m
}

// Touch has the figures of a Connection begin at 0: where the first login that
// is found made the series, nobody would see it rise.
func (m *LoginMetrics) Touch(connection string) {
	for _, role := range []string{"own", "other"} {
		m.foreign.WithLabelValues(connection, role)
	}
	m.blind.WithLabelValues(connection)
}

func (m *LoginMetrics) found(connection string, own bool) {
	role := "other"
	if own {
		role = "own"
	}
	m.foreign.WithLabelValues(connection, role).Inc()
}
