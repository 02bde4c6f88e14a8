// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/ed25519"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/recordtest"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
)

// gate notes what is put in force.
type gate struct {
	mu      sync.Mutex
	applied []int64
	ages    []time.Duration
	err     error
}

func (g *gate) Apply(_ context.Context, s *snapshot.Snapshot) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	g.applied = append(g.applied, s.Revision)
	return nil
}

func (g *gate) Heartbeat(age time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ages = append(g.ages, age)
}

func (g *gate) state() (applied []int64, beats int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.applied), len(g.ages)
}

func (g *gate) last() int64 {
	applied, _ := g.state()
	if len(applied) == 0 {
		return 0
	}
	return applied[len(applied)-1]
}

func (s *site) snapshots(g Gate, log record.Log, revisions Revisions) *Snapshots {
	return &Snapshots{
		Client: s.proxy, Namespace: s.namespace, Name: connectionName, Key: s.key.Public().(ed25519.PublicKey),
		Gate: g, Revisions: revisions, Recorder: log, Problems: NewProblems(), Log: s.log,
	}
}

// A proxy follows its snapshot with the rights of its ServiceAccount only.
func TestSnapshotsAreFollowed(t *testing.T) {
	s := newSite(t)
	g, log := &gate{}, recordtest.NewLog()
	source := s.snapshots(g, log, state(t))
	run(t, source.Run)
	eventually(t, "the missing snapshot is reported", func() bool { return len(source.Problems.List()) == 1 })
	one := s.snapshot(1)
	s.putSnapshot(s.seal(one, s.beat(one, time.Now())))
	eventually(t, "revision 1 and its heartbeat", func() bool {
		applied, beats := g.state()
		return slices.Equal(applied, []int64{1}) && beats == 1
	})
	two := s.snapshot(2)
	s.putSnapshot(s.seal(two, s.beat(two, time.Now())))
	took := eventually(t, "revision 2", func() bool { return g.last() == 2 })
	t.Logf("a new revision took %s", took)
	eventually(t, "no problem is left", func() bool { return len(source.Problems.List()) == 0 })
}

// The built-in role edit can write Secrets, and does not thereby write policy.
func TestSnapshotsRefused(t *testing.T) {
	s := newSite(t)
	_, foreign, err := ed25519.GenerateKey(nil)
	must(t, err)
	next := func(change func(*snapshot.Snapshot)) snapshot.Snapshot {
		n := s.snapshot(8)
		change(&n)
		return n
	}
	base := s.snapshot(7)
	good := s.seal(base, s.beat(base, time.Now()))
	byForeign, err := snapshot.Seal(next(func(*snapshot.Snapshot) {}), foreign)
	must(t, err)
	cases := map[string]struct {
		reason string
		data   map[string][]byte
	}{
		"Overwritten":    {reason: "bytes that the manager did not sign", data: map[string][]byte{snapshot.KeySnapshot: []byte("x"), snapshot.KeySnapshotSignature: []byte("y")}},
		"ForeignKey":     {reason: "a key that is not the manager's", data: byForeign},
		"Emptied":        {reason: "nothing at all", data: map[string][]byte{}},
		"OtherUID":       {reason: "a connection of the same name that is no more", data: s.seal(next(func(n *snapshot.Snapshot) { n.Connection.UID = "gone" }), nil)},
		"OtherName":      {reason: "the snapshot of another connection", data: s.seal(next(func(n *snapshot.Snapshot) { n.Connection.Name = "other" }), nil)},
		"OtherNamespace": {reason: "the snapshot of another namespace", data: s.seal(next(func(n *snapshot.Snapshot) { n.Connection.Namespace = "other" }), nil)},
		"RolledBack":     {reason: "an older revision, signed and all", data: s.seal(next(func(n *snapshot.Snapshot) { n.Revision = 6 }), nil)},
		"Forked":         {reason: "another content under the revision in force", data: s.seal(next(func(n *snapshot.Snapshot) { n.Revision, n.MaxStalenessSeconds = 7, 3600 }), nil)},
		"OtherSchema":    {reason: "a form that this proxy does not know", data: s.seal(next(func(n *snapshot.Snapshot) { n.Schema = "doorward.dev/snapshot/v9" }), nil)},
	}
	g, log := &gate{}, recordtest.NewLog()
	source := s.snapshots(g, log, state(t))
	run(t, source.Run)
	s.putSnapshot(good)
	eventually(t, "the good one", func() bool { return g.last() == 7 })
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := len(log.OfType(record.SnapshotRefused))
			s.putSnapshot(c.data)
			eventually(t, "the refusal on record: "+c.reason, func() bool { return len(log.OfType(record.SnapshotRefused)) > before })
			problems := source.Problems.List()
			if !slices.ContainsFunc(problems, func(p report.Problem) bool {
				return p.Type == v1alpha1.ConditionSnapshotPublished && p.Reason == "SnapshotRefused"
			}) {
				t.Errorf("problems: %+v, want the refusal: %s", problems, c.reason)
			}
			if applied, _ := g.state(); !slices.Equal(applied, []int64{7}) {
				t.Errorf("applied: %v, want the former only: %s", applied, c.reason)
			}
			s.putSnapshot(good)
			eventually(t, "the good one again is no problem", func() bool {
				return !slices.ContainsFunc(source.Problems.List(), func(p report.Problem) bool { return p.Type == v1alpha1.ConditionSnapshotPublished })
			})
		})
	}
}

// A revision that was seen stays seen after a restart.
func TestRollbackAcrossRestart(t *testing.T) {
	s := newSite(t)
	kept, log := state(t), recordtest.NewLog()
	five := s.snapshot(5)
	s.putSnapshot(s.seal(five, s.beat(five, time.Now())))
	g := &gate{}
	stop := run(t, s.snapshots(g, log, kept).Run)
	eventually(t, "revision 5", func() bool { return g.last() == 5 })
	stop()
	four := s.snapshot(4)
	s.putSnapshot(s.seal(four, s.beat(four, time.Now())))
	again := &gate{}
	run(t, s.snapshots(again, log, kept).Run)
	eventually(t, "the refusal on record", func() bool { return len(log.OfType(record.SnapshotRefused)) == 1 })
	if applied, beats := again.state(); len(applied) != 0 || beats != 0 {
		t.Errorf("applied %v with %d heartbeats, want nothing", applied, beats)
	}
}

func TestHeartbeats(t *testing.T) {
	s := newSite(t)
	g := &gate{}
	source := s.snapshots(g, recordtest.NewLog(), state(t))
	base := s.snapshot(3)
	sealed := s.seal(base, nil)
	now := time.Now()
	first := s.beat(base, now.Add(-10*time.Second))
	cases := []struct {
		name  string
		beat  *snapshot.Heartbeat
		count int // heartbeats that counted up to here
	}{
		{"none", nil, 0},
		{"first", first, 1},
		{"a replay of it", first, 1},
		{"an older one", s.beat(base, now.Add(-time.Minute)), 1},
		{"one for another revision", &snapshot.Heartbeat{UID: base.Connection.UID, Revision: 4, Time: now}, 1},
		{"one for another object", &snapshot.Heartbeat{UID: "gone", Revision: 3, Time: now}, 1},
		{"one from the future", s.beat(base, now.Add(time.Hour)), 1},
		{"a newer one", s.beat(base, now), 2},
	}
	for _, c := range cases {
		data := maps.Clone(sealed)
		if c.beat != nil {
			more, err := snapshot.SealHeartbeat(*c.beat, s.key)
			must(t, err)
			maps.Copy(data, more)
		}
		if err := source.take(t.Context(), &corev1.Secret{Data: data}); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if _, beats := g.state(); beats != c.count {
			t.Errorf("%s: %d heartbeats counted, want %d", c.name, beats, c.count)
		}
	}
	if age := g.ages[0]; age < 10*time.Second || age > time.Minute {
		t.Errorf("age of the first = %s, want what it lost on its way", age)
	}
}

func TestApplyIsTriedAgain(t *testing.T) {
	s := newSite(t)
	g := &gate{err: errors.New("the log is full")}
	source := s.snapshots(g, recordtest.NewLog(), state(t))
	one := s.snapshot(1)
	s.putSnapshot(s.seal(one, s.beat(one, time.Now())))
	run(t, source.Run)
	eventually(t, "the problem is reported", func() bool {
		return slices.ContainsFunc(source.Problems.List(), func(p report.Problem) bool { return p.Type == v1alpha1.ConditionSnapshotPublished })
	})
	g.mu.Lock()
	g.err = nil
	g.mu.Unlock()
	eventually(t, "another attempt", func() bool { return g.last() == 1 })
}

// The API server is closed, or takes everything and answers nothing: no
// heartbeat comes, and recovery takes seconds.
func TestSnapshotsAfterAnOutage(t *testing.T) {
	for name, away := range map[string]func(){
		"Closed":    func() { must(t, env.CloseAPI()) },
		"BlackHole": env.BlackHole,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			g := &gate{}
			run(t, s.snapshots(g, recordtest.NewLog(), state(t)).Run)
			one := s.snapshot(1)
			s.putSnapshot(s.seal(one, s.beat(one, time.Now())))
			eventually(t, "revision 1", func() bool { return g.last() == 1 })
			away()
			two := s.snapshot(2)
			s.putSnapshot(s.seal(two, s.beat(two, time.Now())))
			if g.last() != 1 {
				t.Error("something arrived while the API server was away")
			}
			// Long enough for the dead connection to be noticed.
			<-time.After(pingAfter + pingTimeout + time.Second)
			must(t, env.Resume())
			took := eventually(t, "revision 2 after the outage", func() bool { return g.last() == 2 })
			t.Logf("recovery took %s", took)
			three := s.snapshot(3)
			s.putSnapshot(s.seal(three, s.beat(three, time.Now())))
			if took := eventually(t, "revision 3", func() bool { return g.last() == 3 }); took > busy {
				t.Errorf("a revision after the outage took %s, want less than a second", took)
			}
		})
	}
}

// What a proxy may not see it does not follow: by name means by name.
func TestFollowingIsByName(t *testing.T) {
	s := newSite(t)
	s.put("other", corev1.SecretTypeOpaque, map[string][]byte{"password": []byte("canary")})
	if _, err := s.proxy.secrets(s.namespace).List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("the proxy can list all Secrets")
	}
	if _, err := s.proxy.secrets(s.namespace).Get(t.Context(), "other", metav1.GetOptions{}); err == nil {
		t.Error("the proxy can read another Secret")
	}
}
