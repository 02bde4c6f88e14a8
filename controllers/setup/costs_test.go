// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// requests are what the manager asked of the API server, watches and heartbeats aside.
type requests struct {
	sync.Mutex
	all    []string
	lastAt time.Time
}

var asked requests

func (r *requests) note(request *http.Request) {
	query := request.URL.Query()
	if !strings.Contains(request.URL.Path, "/namespaces/costs/") || query.Get("fieldManager") == "doorward-heartbeat" || query.Has("watch") {
		return
	}
	_, path, _ := strings.Cut(request.URL.Path, "/namespaces/costs/")
	r.Lock()
	defer r.Unlock()
	r.all, r.lastAt = append(r.all, request.Method+" "+path), time.Now()
}

// quiet is how long nothing was asked when all that an edit leads to is over. It is
// longer than everything that waits before it looks again.
const quiet = 3 * time.Second

// settled waits until nothing is asked any more.
func (r *requests) settled(t *testing.T) {
	t.Helper()
	eventually(t, func(g gomega.Gomega) {
		r.Lock()
		defer r.Unlock()
		g.Expect(time.Since(r.lastAt)).To(gomega.BeNumerically(">", quiet), "still asking, last: %v", r.all[max(0, len(r.all)-4):])
	})
}

// taken returns what was asked since it was last called, sorted.
func (r *requests) taken() []string {
	r.Lock()
	defer r.Unlock()
	all := r.all
	r.all = nil
	slices.Sort(all)
	return all
}

// TestCostOfAnEdit: an edit that touches one Connection writes its snapshot and the
// reservation, the policy's own status, and nothing else, and reads nothing; one that
// touches all does the same for each.
func TestCostOfAnEdit(t *testing.T) {
	const ns = "costs"
	for _, name := range []string{"one", "two", "three"} {
		create(t, external(ns, name))
	}
	create(t, allow(ns, "narrow", "one"))
	create(t, allow(ns, "wide", "*"))
	revisions := map[string]int64{}
	for name, policies := range map[string]int{"one": 2, "two": 1, "three": 1} {
		revisions[name] = awaitSnapshot(t, ns, name, 1, policies).revision
	}
	asked.settled(t)
	asked.taken()

	for _, edit := range []struct {
		policy  string
		touches []string
	}{
		{"narrow", []string{"one"}},
		{"wide", []string{"one", "three", "two"}},
		{"narrow", []string{"one"}},
	} {
		p := get(gomega.NewWithT(t), ns, edit.policy, &v1alpha1.AccessPolicy{})
		p.Spec.Rules[0].Message += "."
		if err := admin.Update(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		eventually(t, func(g gomega.Gomega) {
			live := get(g, ns, edit.policy, &v1alpha1.AccessPolicy{})
			g.Expect(live.Status.ObservedGeneration).To(gomega.Equal(p.Generation))
			g.Expect(reason(live, v1alpha1.ConditionReady)).To(gomega.Equal("True Ready"))
		})
		asked.settled(t)

		var want []string
		for _, name := range edit.touches {
			want = append(want, "PATCH connections/"+name+"/status", "PATCH secrets/doorward-"+name+"-snapshot")
		}
		slices.Sort(want)
		own := "PATCH accesspolicies/" + edit.policy + "/status"
		got := asked.taken()
		// Whether the policy was seen while its snapshots were being made is a matter of time.
		ofPolicy := len(got)
		got = slices.DeleteFunc(got, func(request string) bool { return request == own })
		if ofPolicy -= len(got); ofPolicy < 1 || ofPolicy > 1+len(edit.touches) {
			t.Errorf("%s: its own status was written %d times", edit.policy, ofPolicy)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("an edit of %q asked otherwise (-want +got):\n%s", edit.policy, diff)
		}
		for _, name := range []string{"one", "two", "three"} {
			if slices.Contains(edit.touches, name) {
				revisions[name]++
			}
			var c v1alpha1.Connection
			if err := admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: name}, &c); err != nil {
				t.Fatal(err)
			}
			if c.Status.Snapshot.Revision != revisions[name] {
				t.Errorf("%s after an edit of %q: revision %d, want %d", name, edit.policy, c.Status.Snapshot.Revision, revisions[name])
			}
		}
	}
}
