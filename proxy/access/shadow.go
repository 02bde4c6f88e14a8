// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// AuditCount is what one generation of a policy in mode Audit would have changed on
// this gate, since it came into force. Deny, RequireApproval and Allow count operations
// with that effect instead of the one they had, Deny and Allow also sessions; Mask counts
// operations whose answer would have been masked otherwise.
type AuditCount struct {
	Cluster    bool
	Policy     string
	UID        string
	Generation int64

	Deny, RequireApproval, Allow, Mask int64
}

func (c *AuditCount) sum() int64 { return c.Deny + c.RequireApproval + c.Allow + c.Mask }

// auditCounter counts for one policy.
type auditCounter struct {
	ref                         policy.RuleRef
	masks                       []string
	deny, approval, allow, mask atomic.Int64
}

func (c *auditCounter) of(effect policy.Effect) *atomic.Int64 {
	switch effect {
	case policy.Deny:
		return &c.deny
	case policy.RequireApproval:
		return &c.approval
	case policy.Allow:
	}
	return &c.allow
}

// auditCounters are those of a state's policies in mode Audit, nil where there is
// none. The list does not change, so that there are never more than policies.
type auditCounters []*auditCounter

// newAuditCounters goes on with the counters of what was in force before.
func newAuditCounters(set policy.Set, before auditCounters) auditCounters {
	var counters auditCounters
	for i := range set.Policies {
		p := &set.Policies[i]
		if !p.Audit {
			continue
		}
		ref := policy.RuleRef{Cluster: p.Cluster, Policy: p.Name, UID: p.UID, Generation: p.Generation}
		known := slices.IndexFunc(before, func(c *auditCounter) bool { return c.ref == ref })
		if known >= 0 {
			counters = append(counters, before[known])
			continue
		}
		c := &auditCounter{ref: ref}
		for _, m := range p.Masks {
			c.masks = append(c.masks, m.Name)
		}
		counters = append(counters, c)
	}
	return counters
}

// count counts an effect for each policy that rules are of, once.
func (a auditCounters) count(effect policy.Effect, rules []policy.RuleRef) {
	for _, c := range a {
		if slices.ContainsFunc(rules, func(r policy.RuleRef) bool { return r.UID == c.ref.UID && r.Cluster == c.ref.Cluster }) {
			c.of(effect).Add(1)
		}
	}
}

// countMasks counts for each policy that masks are of, once: that they refuse, or else
// that they mask.
func (a auditCounters) countMasks(masks []policy.Mask, refuse bool) {
	for _, c := range a {
		if !slices.ContainsFunc(masks, func(m policy.Mask) bool { return m.Policy == c.ref.Policy && slices.Contains(c.masks, m.Name) }) {
			continue
		}
		if refuse {
			c.deny.Add(1)
		} else {
			c.mask.Add(1)
		}
	}
}

// Audits are the counts of all policies in mode Audit, those that would change most
// first; those that would change nothing count too.
func (g *Gate) Audits() []AuditCount {
	st := g.state.Load()
	if st == nil {
		return nil
	}
	counts := make([]AuditCount, 0, len(st.audits))
	for _, c := range st.audits {
		counts = append(counts, AuditCount{
			Cluster: c.ref.Cluster, Policy: c.ref.Policy, UID: c.ref.UID, Generation: c.ref.Generation,
			Deny: c.deny.Load(), RequireApproval: c.approval.Load(), Allow: c.allow.Load(), Mask: c.mask.Load(),
		})
	}
	slices.SortFunc(counts, func(a, b AuditCount) int {
		return cmp.Or(cmp.Compare(b.sum(), a.sum()), strings.Compare(a.Policy, b.Policy), strings.Compare(a.UID, b.UID))
	})
	return counts
}

// shadow is what masks a caller would have if policies in mode Audit were enforced.
type shadow struct {
	rules mask.Rules
	names []string
	// more are the masks that are not in force.
	more []policy.Mask
}

// newShadow is nil where the masks would be the same.
func newShadow(would, list []policy.Mask, key mask.Key) *shadow {
	if would == nil {
		return nil
	}
	s := &shadow{rules: mask.Compile(would, key)}
	s.names = s.rules.Names()
	for _, m := range would {
		// By what it hides: a ClusterAccessPolicy and an AccessPolicy may share all names.
		if !slices.ContainsFunc(list, func(other policy.Mask) bool { return reflect.DeepEqual(m, other) }) {
			s.more = append(s.more, m)
		}
	}
	return s
}

// would is what policies in mode Audit would have changed of an operation.
type would struct {
	record record.Would
	// rules are those that the effect rests on instead, masks those that would refuse
	// or, where masked says so, mask.
	rules  []policy.RuleRef
	masks  []policy.Mask
	masked bool
}

// wouldBe is what policies in mode Audit would change of a decision; nil for nothing.
// Nearly all callers have none.
func (v *view) wouldBe(ask *Ask, decision *policy.Decision) *would {
	if decision.Audit == nil && v.shadow == nil {
		return nil
	}
	w := &would{record: record.Would{Effect: decision.Effect, Rules: decision.Rules, Masks: v.names}}
	if audit := decision.Audit; audit != nil {
		w.record.Effect, w.record.Rules, w.record.Cause, w.rules = audit.Effect, audit.Rules, audit.Cause, audit.Rules
	}
	if v.shadow != nil && w.record.Effect != policy.Deny {
		w.mask(v, ask)
	}
	if w.record.Effect == policy.Deny && len(w.masks) == 0 {
		w.record.Masks = nil
	}
	if decision.Audit == nil && len(w.masks) == 0 {
		return nil
	}
	return w
}

// mask asks what the masks would come to.
func (w *would) mask(v *view, ask *Ask) {
	for i := range v.shadow.more {
		if m := &v.shadow.more[i]; m.Touches(ask.Operation.Fields) {
			w.masks = append(w.masks, *m)
		}
	}
	var unsound error
	if ask.WouldMask != nil {
		unsound = ask.WouldMask(v.shadow.rules)
	}
	switch {
	case unsound != nil:
		if len(w.masks) == 0 {
			w.masks = v.shadow.more
		}
		w.record = record.Would{Effect: policy.Deny, Masks: v.shadow.names, Cause: unsound.Error()}
		w.rules = nil
	case ask.Unmetered || len(w.masks) == 0:
		w.masks = nil
	default:
		w.masked, w.record.Masks = true, v.shadow.names
	}
}

// count counts what would have been changed of an operation.
func (w *would) count(counters auditCounters) {
	if len(w.rules) > 0 {
		counters.count(w.record.Effect, w.rules)
	}
	if len(w.masks) > 0 {
		counters.countMasks(w.masks, !w.masked)
	}
}

// onRecord is the recorded form; nil for nothing.
func (w *would) onRecord() *record.Would {
	if w == nil {
		return nil
	}
	return &w.record
}

// WouldMask is what Observed.Would says where only the answer would have been masked
// otherwise.
const WouldMask policy.Effect = "Mask"

// effect is what would have been instead, as one word; empty for nothing.
func (w *would) effect() policy.Effect {
	switch {
	case w == nil:
		return ""
	case w.masked && len(w.rules) == 0:
		return WouldMask
	}
	return w.record.Effect
}

// connect counts what would have become of a session.
func (a auditCounters) connect(decision *policy.Decision) {
	if audit := decision.Audit; audit != nil && audit.Effect != decision.Effect {
		a.count(audit.Effect, audit.Rules)
	}
}

// wouldConnect is what policies in mode Audit would make of a session; nil for the
// same.
func wouldConnect(decision *policy.Decision) *record.Would {
	if decision.Audit == nil {
		return nil
	}
	return &record.Would{Effect: decision.Audit.Effect, Rules: decision.Audit.Rules, Cause: decision.Audit.Cause}
}

// CacheStats is how many decisions came from the engine's memory, and how many it had
// to make; both 0 where the engine does not tell.
func (g *Gate) CacheStats() (hits, misses uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	hits, misses = g.hits, g.misses
	if st := g.state.Load(); st != nil {
		more, moreMisses := cacheStats(st.engine)
		hits, misses = hits+more, misses+moreMisses
	}
	return hits, misses
}

func cacheStats(engine policy.Engine) (hits, misses uint64) {
	if counted, ok := engine.(policy.CacheCounter); ok {
		return counted.CacheStats()
	}
	return 0, 0
}
