// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
)

// Feed is the log as this follower gets it. What is not acknowledged comes
// again after a restart.
type Feed interface {
	Next(ctx context.Context, count, size int) ([]record.Record, error)
	Acknowledge(next int64) error
}

// Sessions shows the sessions of the log as AuditSession objects. The log is
// the truth: what could not be shown while the API server was away is shown
// afterwards, also by the next process.
type Sessions struct {
	Client   *Client
	Instance string
	Feed     Feed
	Events   *Events
	Log      logr.Logger

	mu       sync.Mutex // guards what follows
	sessions map[string]*projection
	read     int64 // index after the last record applied
	behind   bool  // something is not shown, or not acknowledged, yet
	urgent   chan struct{}
	room     chan struct{}
}

// The rhythm of writing, and the number of sessions that may wait for it: when
// more do, the log is not read further until the API server takes some. The
// counts of a session that goes on are not written anew each second: a write
// costs the API server ten milliseconds of CPU time.
const (
	showEvery   = time.Second
	countEvery  = 5 * time.Second
	showSoonest = 50 * time.Millisecond
	maxWaiting  = 10_000
	feedEvery   = 50 * time.Millisecond
	feedCount   = 1024
	feedBytes   = 1 << 20
)

// NewSessions makes the follower.
func NewSessions(client *Client, instance string, feed Feed, events *Events, log logr.Logger) *Sessions {
	return &Sessions{
		Client: client, Instance: instance, Feed: feed, Events: events, Log: log,
		sessions: map[string]*projection{}, urgent: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
}

// Run follows the log until ctx ends or the log is closed and all is shown.
func (s *Sessions) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shown := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(shown)
		s.show(ctx, ended)
	}()
	if err := s.follow(ctx); err != nil && ctx.Err() == nil {
		s.Log.Error(err, "Cannot read the log, sessions are not shown any more")
	}
	close(ended)
	<-shown
}

// follow reads the log.
func (s *Sessions) follow(ctx context.Context) error {
	var brief record.Brief
	for {
		records, err := s.Feed.Next(ctx, feedCount, feedBytes)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, r := range records {
			document, err := brief.Decode(r.JSON)
			if err != nil {
				return fmt.Errorf("record %d: %w", r.Position.Index, err)
			}
			if err := s.take(ctx, &document, r.Position.Index); err != nil {
				return err
			}
		}
		// A busy log is read in few large pieces.
		if len(records) < feedCount && !sleep(ctx, feedEvery) {
			return ctx.Err()
		}
	}
}

// take applies one record.
func (s *Sessions) take(ctx context.Context, d *record.Document, index int64) error {
	if s.Events != nil {
		s.Events.Take(d)
	}
	var p *projection
	if d.Session != "" && d.Connection != nil {
		var err error
		if p, err = s.find(ctx, d); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.read, s.behind = index+1, true
	switch {
	case p == nil:
	case p.gone && d.Type == record.SessionEnd:
		delete(s.sessions, d.Session)
	default:
		p.apply(d)
		s.sessions[d.Session] = p
		if p.urgent {
			replaceSignal(s.urgent)
		}
	}
	full := len(s.sessions) > maxWaiting
	s.mu.Unlock()
	if full {
		select {
		case <-s.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// find returns the projection a record belongs to. A session that a former process began is found at the API
// server, which is waited for.
func (s *Sessions) find(ctx context.Context, d *record.Document) (*projection, error) {
	s.mu.Lock()
	known := s.sessions[d.Session]
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	if d.Type == record.SessionStart {
		return begin(d), nil
	}
	for {
		bound, cancel := context.WithTimeout(ctx, requestTimeout)
		object, err := s.Client.auditSessions(d.Connection.Namespace).Get(bound, d.Session, metav1.GetOptions{})
		cancel()
		switch {
		case err == nil:
			return resume(object), nil
		case apierrors.IsNotFound(err):
			return &projection{namespace: d.Connection.Namespace, name: d.Session, gone: true}, nil
		case !sleep(ctx, retryLatest):
			return nil, ctx.Err()
		}
	}
}

// show writes what changed, once a second, sooner where a session began or ended.
func (s *Sessions) show(ctx context.Context, ended <-chan struct{}) {
	tick := time.NewTicker(showEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.flush(ctx, due)
		case <-s.urgent:
			if !sleep(ctx, showSoonest) {
				return
			}
			s.flush(ctx, urgent)
		case <-ended:
			s.flush(ctx, whole)
			return
		}
	}
}

// urgency says which of the sessions that changed are written: those that began
// or ended, also those whose counts are old, or all.
type urgency int

const (
	urgent urgency = iota
	due
	whole
)

// flush writes sessions that changed. What is shown of all sessions is
// acknowledged.
func (s *Sessions) flush(ctx context.Context, which urgency) {
	now := time.Now()
	s.mu.Lock()
	behind := s.behind
	var writing []*projection
	for _, p := range s.sessions {
		if p.dirty && (p.urgent || which == whole || which == due && p.due(now)) {
			writing = append(writing, p)
		}
	}
	// Sessions that began or ended come first.
	slices.SortFunc(writing, func(a, b *projection) int {
		if a.urgent != b.urgent {
			if a.urgent {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	s.mu.Unlock()
	if !behind {
		return
	}
	for _, p := range writing {
		err := s.write(ctx, p)
		if err == nil {
			continue
		}
		s.Log.V(1).Info("Cannot show a session yet", "session", p.name, "reason", err.Error())
		// Without an answer the others would fare no better.
		if status := apierrors.APIStatus(nil); !errors.As(err, &status) {
			break
		}
	}
	s.mu.Lock()
	read, complete := s.read, true
	for _, p := range s.sessions {
		if p.dirty {
			read, complete = min(read, p.from), false
		}
	}
	s.mu.Unlock()
	if err := s.Feed.Acknowledge(read); err != nil {
		s.Log.Error(err, "Cannot acknowledge records")
		return
	}
	s.mu.Lock()
	if complete && s.read == read {
		s.behind = false
	}
	s.mu.Unlock()
}

// write brings one object up to date. The error is one that time may cure; an
// object that the API server will never take is given up, its records are kept.
func (s *Sessions) write(ctx context.Context, p *projection) error {
	s.mu.Lock()
	// What comes while this is written makes it dirty again.
	if !p.urgent {
		p.counted = time.Now()
	}
	from := p.from
	p.dirty, p.urgent = false, false
	status, ended, create := p.shown(), p.ended(), !p.created
	s.mu.Unlock()
	err := s.put(ctx, p, create, status)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil && (!ended || p.dirty):
		return nil
	case err == nil:
	case errors.Is(err, errDeleted) && p.start != nil:
		// Somebody deleted what the log still tells.
		p.created, p.dirty, p.from = false, true, from
		p.counted = time.Time{}
		return err
	case apierrors.IsNotFound(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err),
		apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		s.Log.Error(err, "Gave up showing a session", "session", p.name, "namespace", p.namespace)
		if p.gone = true; !ended {
			return nil
		}
	default:
		p.dirty, p.from, p.counted = true, from, time.Time{}
		return err
	}
	delete(s.sessions, p.name)
	replaceSignal(s.room)
	return nil
}

// errDeleted marks the status of an object that is not there any more.
var errDeleted = errors.New("the AuditSession was deleted")

func (s *Sessions) put(ctx context.Context, p *projection, create bool, status v1alpha1.AuditSessionStatus) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	client := s.Client.auditSessions(p.namespace)
	if create {
		_, err := client.Create(ctx, p.object(s.Instance), metav1.CreateOptions{})
		// It exists where the answer was lost, or a former process made it.
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		s.mu.Lock()
		p.created = true
		s.mu.Unlock()
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return fmt.Errorf("cannot encode status: %w", err)
	}
	object, err := client.Patch(ctx, p.name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%w: %w", errDeleted, err)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	p.generation = object.Generation
	s.mu.Unlock()
	return nil
}

// Await waits until the records before next are shown, within a bound.
func (s *Sessions) Await(next int64, bound time.Duration) {
	deadline := time.NewTimer(bound)
	defer deadline.Stop()
	look := time.NewTicker(showSoonest)
	defer look.Stop()
	for {
		s.mu.Lock()
		done := s.read >= next && !s.behind
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-deadline.C:
			return
		case <-look.C:
		}
	}
}
