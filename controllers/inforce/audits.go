// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package inforce

import (
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/report"
)

// auditEvery is how often at most the counts of one policy are written.
const auditEvery = 10 * time.Second

// Audits sums what proxies report of policies in mode Audit. Each process counts from
// its beginning; what it reported last stays in the sum when it ends, so that sums never
// go down. What a process counted after its last report is lost with it. A new
// manager goes on from what status says, or from what the proxies report where that is
// more: what was counted while there was none may be missing where processes ended
// meanwhile. It is safe for concurrent use.
type Audits struct {
	now     func() time.Time
	changed map[bool]chan event.GenericEvent // by whether of ClusterAccessPolicies

	mu     sync.Mutex // guards the rest
	all    map[types.UID]*tally
	looked map[types.NamespacedName]bool // Connections that were observed before
}

// NewAudits makes an empty one. now is the clock.
func NewAudits(now func() time.Time) *Audits {
	return &Audits{
		now: now, changed: map[bool]chan event.GenericEvent{true: make(chan event.GenericEvent, 1), false: make(chan event.GenericEvent, 1)},
		all: map[types.UID]*tally{}, looked: map[types.NamespacedName]bool{},
	}
}

// Changed returns where an event is raised when there are other counts of AccessPolicies,
// or of ClusterAccessPolicies; Dirty names them.
func (a *Audits) Changed(cluster bool) <-chan event.GenericEvent { return a.changed[cluster] }

// Observe takes what the live proxies of a Connection report of the policies that it is
// compiled of. What they say of other policies counts for nothing.
func (a *Audits) Observe(connection types.NamespacedName, reports []report.Report, policies policy.Set) {
	told := map[bool]bool{}
	a.mu.Lock()
	before := a.looked[connection]
	a.looked[connection] = true
	for i := range policies.Policies {
		p := &policies.Policies[i]
		if !p.Audit {
			continue
		}
		name := types.NamespacedName{Name: p.Name}
		if !p.Cluster {
			name.Namespace = connection.Namespace
		}
		t := a.of(types.UID(p.UID), p.Generation, name)
		if t != nil && t.observe(connection, p, reports, before) {
			t.dirty = true
			told[p.Cluster] = true
		}
	}
	a.mu.Unlock()
	for cluster := range told {
		select {
		case a.changed[cluster] <- event.GenericEvent{Object: &metav1.PartialObjectMetadata{}}:
		default: // one is waiting
		}
	}
}

// Dirty names the policies whose counts changed since they were last named.
func (a *Audits) Dirty(cluster bool) []types.NamespacedName {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []types.NamespacedName
	for _, t := range a.all {
		if t.dirty && (t.policy.Namespace == "") == cluster {
			t.dirty = false
			names = append(names, t.policy)
		}
	}
	return names
}

// Status is what status.audit shall be of a policy, which has before now. Where it is too
// early to write what is known, that stays, and the duration says when to look again.
func (a *Audits) Status(p metav1.Object, mode v1alpha1.PolicyMode, before *v1alpha1.PolicyAudit) (*v1alpha1.PolicyAudit, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if mode != v1alpha1.PolicyModeAudit {
		delete(a.all, p.GetUID())
		return nil, 0
	}
	if before != nil && before.Generation != p.GetGeneration() {
		before = nil
	}
	t := a.of(p.GetUID(), p.GetGeneration(), types.NamespacedName{Namespace: p.GetNamespace(), Name: p.GetName()})
	if t == nil {
		return before, 0 // the policy was read before its last edit: there is another event
	}
	was := countsOf(before)
	t.begin(was)
	is := t.total().most(was)
	switch wait := auditEvery - a.now().Sub(t.writtenAt); {
	case before != nil && is == was:
		return before, 0
	case before != nil && wait > 0:
		return before, wait
	}
	t.writtenAt = a.now()
	return is.audit(p.GetGeneration()), 0
}

// Forget says that a policy is gone.
func (a *Audits) Forget(name types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for uid, t := range a.all {
		if t.policy == name {
			delete(a.all, uid)
		}
	}
}

// of finds or makes the tally of a generation of a policy; nil where there is one of a
// later generation.
func (a *Audits) of(uid types.UID, generation int64, name types.NamespacedName) *tally {
	t := a.all[uid]
	if t != nil && t.generation > generation {
		return nil
	}
	if t == nil || t.generation < generation {
		t = &tally{policy: name, generation: generation, said: map[process]counts{}}
		a.all[uid] = t
	}
	return t
}
