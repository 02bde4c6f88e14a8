// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package inforce

import (
	"math"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/report"
)

// maxProcesses is how many processes of proxies a tally tells apart. Of more, those that
// are gone are only summed up.
const maxProcesses = 1024

// tally is what is known of one generation of a policy in mode Audit.
type tally struct {
	policy     types.NamespacedName
	generation int64
	writtenAt  time.Time
	dirty      bool

	// begun says that beyond is set: what status said at the beginning and no process
	// reports.
	begun  bool
	beyond counts
	// folded is what processes reported that are told apart no more.
	folded counts
	said   map[process]counts
}

// process is one life of a proxy instance.
type process struct {
	connection      types.NamespacedName
	instance, nonce string
}

// counts are those of a report.Audit.
type counts struct{ deny, requireApproval, allow, mask int64 }

// observe takes the reports of a Connection's proxies, which was observed before or is
// now for the first time. It says whether anything is new.
func (t *tally) observe(connection types.NamespacedName, p *policy.Policy, reports []report.Report, before bool) bool {
	changed := false
	live := map[process]bool{}
	for i := range reports {
		from := process{connection: connection, instance: reports[i].Instance, nonce: reports[i].Nonce}
		live[from] = true
		audits := reports[i].Audits
		for _, one := range audits[:min(len(audits), report.MaxAudits)] {
			if one.UID != p.UID || one.Generation != p.Generation || one.Cluster != p.Cluster {
				continue
			}
			known, seen := t.said[from]
			now := known.most(counts{deny: one.Deny, requireApproval: one.RequireApproval, allow: one.Allow, mask: one.Mask})
			if !seen && !before && t.begun {
				t.beyond = t.beyond.less(now) // status had it from the manager before this one
			}
			changed = changed || now != known
			t.said[from] = now
		}
	}
	if len(t.said) > maxProcesses {
		for from, c := range t.said {
			if from.connection == connection && !live[from] {
				t.folded = t.folded.plus(c)
				delete(t.said, from)
			}
		}
	}
	return changed
}

// begin takes over what status says, once.
func (t *tally) begin(status counts) {
	if t.begun {
		return
	}
	t.begun = true
	t.beyond = status.less(t.total())
}

func (t *tally) total() counts {
	sum := t.beyond.plus(t.folded)
	for _, c := range t.said {
		sum = sum.plus(c)
	}
	return sum
}

func countsOf(a *v1alpha1.PolicyAudit) counts {
	if a == nil {
		return counts{}
	}
	return counts{deny: a.WouldDeny, requireApproval: a.WouldRequireApproval, allow: a.WouldAllow, mask: a.WouldMask}
}

func (c counts) audit(generation int64) *v1alpha1.PolicyAudit {
	return &v1alpha1.PolicyAudit{
		Generation: generation, WouldDeny: c.deny, WouldRequireApproval: c.requireApproval, WouldAllow: c.allow, WouldMask: c.mask,
	}
}

// each puts two counts together, number by number. Whoever reports may report anything:
// no number is below zero.
func (c counts) each(o counts, f func(a, b int64) int64) counts {
	g := func(a, b int64) int64 { return max(f(max(a, 0), max(b, 0)), 0) }
	return counts{deny: g(c.deny, o.deny), requireApproval: g(c.requireApproval, o.requireApproval), allow: g(c.allow, o.allow), mask: g(c.mask, o.mask)}
}

func (c counts) most(o counts) counts {
	return c.each(o, func(a, b int64) int64 { return max(a, b) })
}

func (c counts) less(o counts) counts { return c.each(o, func(a, b int64) int64 { return a - b }) }

func (c counts) plus(o counts) counts {
	return c.each(o, func(a, b int64) int64 {
		if a > math.MaxInt64-b {
			return math.MaxInt64
		}
		return a + b
	})
}
