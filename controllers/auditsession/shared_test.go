// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditsession

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// lister has the sessions of all credentials.
type lister struct {
	client.Client
	sessions []v1alpha1.AuditSession
}

func (l *lister) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	all := (&client.ListOptions{}).ApplyOptions(options)
	for i := range l.sessions {
		if all.FieldSelector.String() == byProof+"="+l.sessions[i].Spec.Actor.ProofID {
			into := list.(*v1alpha1.AuditSessionList)
			into.Items = append(into.Items, l.sessions[i])
		}
	}
	return nil
}

// told are Events.
type told []string

func (t *told) Eventf(_, _ runtime.Object, _, reason, _, note string, args ...any) {
	*t = append(*t, reason+": "+fmt.Sprintf(note, args...))
}

func TestCompare(t *testing.T) {
	now := time.Unix(1800000000, 0)
	session := func(name, proof, proxy, from string, change ...func(*v1alpha1.AuditSession)) v1alpha1.AuditSession {
		s := v1alpha1.AuditSession{Spec: v1alpha1.AuditSessionSpec{
			Actor:         v1alpha1.Actor{Issuer: "https://idp.example", Username: "alice", ProofID: proof},
			ClientAddress: from, ProxyInstance: proxy, StartedAt: metav1.NewTime(now.Add(-time.Hour)),
		}}
		s.Name, s.Namespace = name, "data"
		s.Status.Phase = v1alpha1.SessionActive
		for _, c := range change {
			c(&s)
		}
		return s
	}
	endedAt := func(ago time.Duration) func(*v1alpha1.AuditSession) {
		return func(s *v1alpha1.AuditSession) {
			at := metav1.NewTime(now.Add(-ago))
			s.Status.Phase, s.Status.EndedAt = v1alpha1.SessionEnded, &at
		}
	}
	own := session("own", "p", "proxy-a", "192.0.2.7:1")
	cases := map[string]struct {
		reason string
		own    v1alpha1.AuditSession
		others []v1alpha1.AuditSession
		found  bool
	}{
		"Elsewhere":      {reason: "two proxies see what neither sees alone", own: own, others: []v1alpha1.AuditSession{session("b", "p", "proxy-b", "198.51.100.7:1")}, found: true},
		"SameNetwork":    {reason: "one client has several addresses of its network", own: own, others: []v1alpha1.AuditSession{session("b", "p", "proxy-b", "192.0.2.9:1")}},
		"SameProxy":      {reason: "that proxy has found it itself", own: own, others: []v1alpha1.AuditSession{session("b", "p", "proxy-a", "198.51.100.7:1")}},
		"OtherProof":     {reason: "another credential", own: own, others: []v1alpha1.AuditSession{session("b", "q", "proxy-b", "198.51.100.7:1")}},
		"OtherFamily":    {reason: "one client may have both IPv4 and IPv6", own: own, others: []v1alpha1.AuditSession{session("b", "p", "proxy-b", "[2001:db8::1]:1")}},
		"NoProof":        {reason: "what has no id is compared with nothing", own: session("own", "", "proxy-a", "192.0.2.7:1"), others: []v1alpha1.AuditSession{session("b", "", "proxy-b", "198.51.100.7:1")}},
		"OneAfter":       {reason: "one after the other is a client that moved", own: session("own", "p", "proxy-a", "192.0.2.7:1", func(s *v1alpha1.AuditSession) { s.Spec.StartedAt = metav1.NewTime(now.Add(-time.Minute)) }), others: []v1alpha1.AuditSession{session("b", "p", "proxy-b", "198.51.100.7:1", endedAt(2*time.Minute))}},
		"Overlapped":     {reason: "also where the other has ended", own: own, others: []v1alpha1.AuditSession{session("b", "p", "proxy-b", "198.51.100.7:1", endedAt(2*time.Minute))}, found: true},
		"JustEnded":      {reason: "or this one", own: session("own", "p", "proxy-a", "192.0.2.7:1", endedAt(time.Minute)), others: []v1alpha1.AuditSession{session("b", "p", "proxy-b", "198.51.100.7:1")}, found: true},
		"Old":            {reason: "what is long over is not told by a manager that starts", own: session("own", "p", "proxy-a", "192.0.2.7:1", endedAt(30*time.Minute)), others: []v1alpha1.AuditSession{session("b", "p", "proxy-b", "198.51.100.7:1", endedAt(40*time.Minute))}},
		"UnknownAddress": {reason: "an address that is none tells nothing", own: own, others: []v1alpha1.AuditSession{session("b", "p", "proxy-b", "unix")}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			events, counted := told{}, 0
			r := &Reconciler{Client: &lister{sessions: append(tc.others, tc.own)}, Events: &events, Shared: func() { counted++ }}
			for range 2 { // it is told once
				if err := r.compare(t.Context(), &scope{session: &tc.own, now: now}); err != nil {
					t.Fatal(err)
				}
			}
			// Nor does the other one's turn tell it again.
			if err := r.compare(t.Context(), &scope{session: &tc.others[0], now: now}); err != nil {
				t.Fatal(err)
			}
			if (len(events) == 1) != tc.found || (counted == 1) != tc.found {
				t.Errorf("%s: %d Events, %d counted: %v", tc.reason, len(events), counted, events)
			}
			if tc.found && (!strings.Contains(events[0], "192.0.2.0/24") || !strings.Contains(events[0], "198.51.100.0/24") || !strings.Contains(events[0], "alice")) {
				t.Errorf("the Event says %q", events[0])
			}
		})
	}
}

// TestToldIsBounded: whatever sessions there are, no more is remembered than may be.
// TestLongNameIsTold: checklist 38 and 48, nobody keeps an Event from being made, or draws in
// it, by the name that the issuer gives them.
func TestLongNameIsTold(t *testing.T) {
	events := told{}
	r := &Reconciler{Events: &events}
	own, other := &v1alpha1.AuditSession{}, &v1alpha1.AuditSession{}
	own.Spec.Actor.Username = "\x1b[2K" + strings.Repeat("\u202e", 511)
	other.Namespace, other.Name = strings.Repeat("n", 63), strings.Repeat("s", 253)
	other.Spec.ProxyInstance = strings.Repeat("p", 253)
	r.tell(own, other, netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"))
	if len(events) != 1 || len(events[0]) > len("SharedCredential: ")+1024 || strings.ContainsAny(events[0], "\x1b\u202e") || !strings.Contains(events[0], "198.51.100.0/24") {
		t.Errorf("told %q", events)
	}
}

func TestToldIsBounded(t *testing.T) {
	r := &Reconciler{}
	for i := range 3 * maxTold {
		if !r.isNew(finding{proof: fmt.Sprint(i)}, time.Now()) {
			t.Fatal("told before")
		}
		if len(r.told) > maxTold {
			t.Fatalf("%d are remembered", len(r.told))
		}
	}
}
