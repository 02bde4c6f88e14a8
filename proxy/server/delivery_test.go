// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/snapshot"
)

// checklist 43, 44: sinks that are dead or stuck hold up no other and nothing is
// dropped; operations are refused only when the log is full, with the name of
// who holds it up; when they are back, everything is there, in order.
func TestOutage(t *testing.T) {
	for name, breakIt := range map[string]func(*listening){
		"Dead":  func(l *listening) { l.err = errors.New("connection refused") },
		"Stuck": func(l *listening) { l.stuck = true },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t, t.TempDir(), "data/shop")
			good, bad := p.place("good"), p.place("bad")
			bad.set(breakIt)
			p.delivery.Want("data/shop", sinks("good", "bad"))
			p.append(20)
			good.awaitRecord(t, 19)
			if s := p.status("good"); !s.Reachable || s.LastError != nil {
				t.Errorf("the good sink: %+v", s)
			}
			err := p.fill()
			if !errors.Is(err, spool.ErrFull) || !strings.Contains(err.Error(), `sink "bad"`) {
				t.Errorf("Append: %v, want %v with the sink's name", err, spool.ErrFull)
			}
			// Results of what was already let through still have room.
			must(t, p.log.AppendLater(record.Event{Type: record.OperationResult, Session: "s", OperationID: 1}))
			if s := p.status("bad"); s.Reachable || s.LastError == nil || s.FailuresTotal == 0 {
				t.Errorf("the bad sink: %+v", s)
			}
			bad.set(func(l *listening) { l.err, l.stuck = nil, false })
			bad.awaitRecord(t, p.log.Durable()-1)
			for err = p.log.Err(); errors.Is(err, spool.ErrFull); err = p.log.Err() {
				// A refusal notices that there is room again, within a second.
				_, _ = p.log.Append(t.Context(), record.Event{Type: record.ProxyStart})
			}
			p.append(5)
			end := p.log.Durable()
			for _, l := range []*listening{good, bad} {
				l.awaitRecord(t, end-1)
				if diff := cmp.Diff(upTo(0, end), l.once()); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			}
			must(t, p.stop())
		})
	}
}

// A LogSink that is made later gets what is kept and says what it missed; one
// that goes holds back nothing, and goes on where it was when it comes back.
func TestSinksComeAndGo(t *testing.T) {
	dir := t.TempDir()
	p := newPost(t, dir, "data/shop")
	err := p.fill()
	if !errors.Is(err, spool.ErrFull) || !strings.Contains(err.Error(), "data/shop") {
		t.Errorf("without a snapshot: %v, want it to say that nobody knows who needs the records", err)
	}
	p.delivery.Want("data/shop", sinks("first"))
	p.place("first").awaitRecord(t, p.log.Durable()-1)
	for p.log.Err() != nil || p.log.Usage().Used > p.log.Usage().Max/2 {
		_, _ = p.log.Append(t.Context(), record.Event{Type: record.ProxyStart})
	}
	kept := func(names ...string) *snapshot.Snapshot {
		s := sinks(names...)
		s.Audit.LogRetentionSeconds = 3600
		return s
	}
	p.delivery.Want("data/shop", kept("first", "late"))
	late := p.place("late")
	p.append(3)
	late.awaitRecord(t, p.log.Durable()-1)
	missed := p.status("late").Missed
	if got := late.once(); missed == 0 || got[0] != missed {
		t.Errorf("the late sink begins with %d, missed %d", got[0], missed)
	}
	p.delivery.Want("data/shop", kept("first"))
	late.await(t, "its end", func(l *listening) bool { return l.closed == 1 })
	before := p.log.Durable()
	p.append(3)
	p.place("first").awaitRecord(t, before+2)
	if got := late.once(); got[len(got)-1] >= before {
		t.Error("a sink that was removed got records")
	}
	p.delivery.Want("data/shop", kept("first", "late"))
	late.awaitRecord(t, before+2)
	if got := late.once(); !cmp.Equal(upTo(got[0], before+3), got) {
		t.Errorf("it did not go on where it was: %v", got)
	}
	must(t, p.stop())
	p = newPost(t, dir, "data/shop")
	p.delivery.Want("data/shop", kept("late"))
	p.append(1)
	end := p.log.Durable()
	p.place("late").awaitRecord(t, end-1)
	if diff := cmp.Diff(upTo(before+3, end), p.place("late").once()); diff != "" || p.status("late").Missed != missed {
		t.Errorf("after a restart, missed %d, want %d: -want +got:\n%s", p.status("late").Missed, missed, diff)
	}
}

// Connections that the manager has not yet reached with a change do not turn it
// back, whatever their names and the number of their revisions.
func TestNewestSettingsHold(t *testing.T) {
	begin := time.Unix(1800000000, 0)
	at := func(age time.Duration, revision, bytes int64) *snapshot.Snapshot {
		return &snapshot.Snapshot{Time: begin.Add(-age), Revision: revision, Sinks: []snapshot.Sink{{Name: "a", Type: "File", File: &snapshot.FileSink{MaxFileBytes: bytes}}}}
	}
	tests := map[string]struct {
		reason    string
		snapshots map[string]*snapshot.Snapshot
		want      int64
	}{
		"Time":     {"Revisions of two Connections do not compare.", map[string]*snapshot.Snapshot{"a": at(2, 9, 1), "b": at(0, 3, 2), "c": at(1, 50, 3)}, 2},
		"Revision": {"Made in the same second, the higher revision.", map[string]*snapshot.Snapshot{"a": at(0, 2, 1), "b": at(0, 5, 2), "c": at(0, 4, 3)}, 2},
		"Name":     {"Never the order of a map.", map[string]*snapshot.Snapshot{"a": at(0, 2, 1), "b": at(0, 2, 2), "c": at(0, 2, 3)}, 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPost(t, t.TempDir(), "a", "b", "c")
			for range 20 { // a map's order is another each time
				for connection, s := range tc.snapshots {
					p.delivery.Want(connection, s)
				}
				p.append(1)
				l := p.place("a")
				l.awaitRecord(t, p.log.Durable()-1)
				l.await(t, tc.reason, func(l *listening) bool { return l.opened[len(l.opened)-1].File.MaxFileBytes == tc.want })
			}
		})
	}
}

// A sink whose settings change is closed and opened anew, also while it is stuck.
func TestSettingsChange(t *testing.T) {
	p := newPost(t, t.TempDir(), "data/shop")
	l := p.place("a")
	l.set(func(l *listening) { l.stuck = true })
	p.delivery.Want("data/shop", sinks("a"))
	p.append(1)
	changed := sinks("a")
	changed.Sinks[0].Webhook = &snapshot.WebhookSink{URL: "https://siem.example"}
	l.set(func(l *listening) { l.stuck = false })
	p.delivery.Want("data/shop", changed)
	l.awaitRecord(t, 0)
	l.await(t, "reopening", func(l *listening) bool {
		return l.closed == 1 && cmp.Equal(l.opened, []snapshot.Sink{sinks("a").Sinks[0], changed.Sinks[0]})
	})
	// The same once more changes nothing.
	p.delivery.Want("data/shop", changed)
	p.append(1)
	l.awaitRecord(t, 1)
	if len(l.opened) != 2 {
		t.Errorf("opened %d times, want 2", len(l.opened))
	}
}

// A sink whose Secret is missing says so, keeps its records, and goes on when
// the Secret is there.
func TestSecretAppears(t *testing.T) {
	p := newPatientPost(t, t.TempDir(), time.Hour, "data/shop")
	p.missing = errors.New(`secret "doorward-shop-sinks" has no key "a_password"`)
	s := sinks("a", "b")
	s.Sinks[0].Secret = true
	p.delivery.Want("data/shop", s)
	if status := p.status("a"); status.Reachable || status.LastError == nil || !strings.Contains(status.LastError.Error(), "a_password") {
		t.Errorf("status: %+v, want the Secret and the key", status)
	}
	p.append(2)
	p.place("b").awaitRecord(t, 1)
	p.mu.Lock()
	p.missing = nil
	p.mu.Unlock()
	p.delivery.SecretChanged("data/other")
	p.delivery.SecretChanged("data/shop")
	p.place("a").awaitRecord(t, 1)
	p.append(1)
	p.place("a").awaitRecord(t, 2) // so that those before are acknowledged
	if status := p.status("a"); !status.Reachable || status.LastError != nil {
		t.Errorf("status: %+v", status)
	}
	if b := p.place("b"); len(b.opened) != 1 {
		t.Errorf("a sink without Secret was opened %d times", len(b.opened))
	}
}

// checklist 42: with durability Remote nothing counts as recorded that only this
// machine has.
func TestRemoteDurability(t *testing.T) {
	tests := map[string]struct {
		reason string
		want   *snapshot.Snapshot
		err    error
		says   string // empty: it is recorded
	}{
		"Acknowledged": {reason: "a remote sink has it", want: sinks("siem")},
		"NoSink":       {reason: "nobody could have it", want: sinks(), says: "spec.audit.durability"},
		"LocalOnly": {
			reason: "a file is on this machine", says: "no LogSink is of a type other than Stdout and File",
			want: &snapshot.Snapshot{Sinks: []snapshot.Sink{{Name: "siem", Type: "File"}, {Name: "out", Type: "Stdout"}}},
		},
		"Down": {reason: "nobody has it", want: sinks("siem"), err: errors.New("connection refused"), says: `sink "siem": connection refused`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPost(t, t.TempDir(), "data/shop")
			p.place("siem").set(func(l *listening) { l.err = tc.err })
			p.delivery.Want("data/shop", tc.want)
			position, err := p.log.Append(t.Context(), record.Event{Type: record.OperationDecided, Durability: record.Remote})
			switch {
			case tc.says == "" && err != nil, tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("Append: %v, want %q: %s", err, tc.says, tc.reason)
			case tc.says == "" && len(p.place("siem").once()) != int(position.Index)+1:
				t.Errorf("Append returned before the sink had record %d", position.Index)
			}
		})
	}
}

// keeping notes what a Delivery makes of a log.
type keeping struct {
	age  time.Duration
	hold string
	err  error
}

func (k *keeping) AddSink(string) error                        { return k.err }
func (k *keeping) RemoveSink(string) error                     { return nil }
func (k *keeping) SetRetention(age time.Duration, hold string) { k.age, k.hold = age, hold }

// idle is a feed without records.
type idle struct{}

func (idle) Next(ctx context.Context, _, _ int) ([]record.Record, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}
func (idle) Acknowledge(int64) error { return nil }
func (idle) Acknowledged() int64     { return 0 }
func (idle) Durable() int64          { return 0 }
func (idle) Missed() int64           { return 0 }
func (idle) Close() error            { return nil }

func TestRetention(t *testing.T) {
	audit := func(seconds int64, hold bool) *snapshot.Snapshot {
		s := sinks("a")
		s.Audit = snapshot.Audit{LogRetentionSeconds: seconds, LegalHold: hold}
		return s
	}
	tests := map[string]struct {
		reason    string
		snapshots map[string]*snapshot.Snapshot
		lost      error
		age       time.Duration
		hold      string
	}{
		"NoneYet":     {reason: "nobody knows who needs the records", hold: `"data/a"`},
		"OneMissing":  {reason: "another Connection may need them", snapshots: map[string]*snapshot.Snapshot{"data/a": audit(9, false)}, age: 9 * time.Second, hold: `"data/b"`},
		"LongestTime": {reason: "each is kept as long as one asks", snapshots: map[string]*snapshot.Snapshot{"data/a": audit(9, false), "data/b": audit(7, false)}, age: 9 * time.Second},
		"OneHold":     {reason: "one hold is enough", snapshots: map[string]*snapshot.Snapshot{"data/a": audit(0, false), "data/b": audit(7, true)}, age: 7 * time.Second, hold: "legalHold"},
		"PlaceLost": {
			reason: "a sink that does not count yet may lack them", snapshots: map[string]*snapshot.Snapshot{"data/a": audit(0, false), "data/b": audit(0, false)},
			lost: errors.New("disk on fire"), hold: "disk on fire",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			k := &keeping{err: tc.lost}
			d, err := NewDelivery(DeliveryOptions{
				Log: k, Connections: []string{"data/a", "data/b"},
				Feed: func(string) (SinkFeed, error) { return idle{}, nil },
				Open: func(string, snapshot.Sink) (sink.Sink, error) { return newListening(), nil },
			})
			must(t, err)
			for connection, s := range tc.snapshots {
				d.Want(connection, s)
			}
			if k.age != tc.age || (k.hold == "") != (tc.hold == "") || !strings.Contains(k.hold, tc.hold) {
				t.Errorf("kept for %s, held by %q; want %s, %q: %s", k.age, k.hold, tc.age, tc.hold, tc.reason)
			}
			if tc.lost != nil {
				if all := d.Statuses(); len(all) != 1 || !errors.Is(all[0].LastError, tc.lost) {
					t.Errorf("statuses %+v, want the sink with its error", all)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			must(t, d.Run(ctx))
		})
	}
}
