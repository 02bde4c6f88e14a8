// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/directway"
	"github.com/doorward/doorward/controllers/kit"
)

// reachedFor is how long ago, by its own clock, a proxy may have reached a target for a
// closed way to mean more than a target that is down.
const reachedFor = 15 * time.Minute

const isolationPage = "docs/operations/isolation.md"

// isolated says whether the way round the proxies is closed: True only where it was
// tried and did not open, and nothing else explains that.
func (r *Reconciler) isolated(s *scope, runErr error) kit.Verdict {
	const kind = v1alpha1.ConditionIsolated
	c, around := s.connection, s.surroundings
	if foreign := c.Status.ForeignLogins; len(foreign) > 0 {
		_, refused := credentialChangedAt(s)
		return kit.False(kind, v1alpha1.ReasonForeignLogins, fmt.Sprintf(
			"somebody used the stored credential at the target without a proxy: %s; find out who, change the password, and say that you did: %s%s", shown(inWords(foreign)), isolationPage, refused))
	}
	isolation := c.Spec.Isolation
	switch {
	case isolation == nil && !managed(c):
		return kit.Unknown(kind, v1alpha1.ReasonNotApplicable, "the proxy is External, so that nothing in this cluster can close the way: let the target's own rules, such as pg_hba.conf, "+
			"and a firewall admit the proxy alone: "+isolationPage+"; "+watched(s.live))
	case isolation == nil:
		return kit.False(kind, v1alpha1.ReasonNotRequested, "spec.isolation is unset: whoever reaches the target's address goes round the proxy")
	case !s.reached["isolate"]:
		return kit.Unknown(kind, v1alpha1.ReasonProgressing, text(runErr))
	case len(around.shared) > 0:
		return kit.False(kind, v1alpha1.ReasonSharedNamespace, fmt.Sprintf(
			"pods that are neither proxies nor the target run in this namespace, and whoever makes pods here can mount the credential: move %s", shown(around.shared)))
	case len(around.hostNetwork) > 0:
		return kit.False(kind, v1alpha1.ReasonHostNetwork, fmt.Sprintf(
			"no NetworkPolicy applies to pods with hostNetwork: %s; close the way on their nodes, or give them a network of their own", shown(around.hostNetwork)))
	}
	result, tried := r.direct(s)
	if len(result.Open) > 0 {
		return kit.False(kind, v1alpha1.ReasonDirectWayOpen, open(c, result))
	}
	if len(around.others) > 0 {
		return kit.False(kind, v1alpha1.ReasonOtherPolicies, fmt.Sprintf(
			"other NetworkPolicies let others reach the target's ports, and policies add up: narrow %s", shown(around.others)))
	}
	return unproven(s, result, tried)
}

// direct is what came of trying the direct way.
func (r *Reconciler) direct(s *scope) (directway.Result, bool) {
	if r.DirectWay == nil || s.connection.Spec.Isolation.Probe == v1alpha1.IsolationProbeDisabled {
		return directway.Result{}, false
	}
	return r.DirectWay.Result(key(s))
}

func open(c *v1alpha1.Connection, result directway.Result) string {
	because := "the target's firewall admits more than the proxies"
	if c.Spec.Isolation.PodSelector != nil {
		because = "the cluster's network does not enforce NetworkPolicies, or the address leads to other pods than spec.isolation.podSelector selects"
	}
	return fmt.Sprintf("from %s, which is no proxy, %s could be connected to: %s; whether a login is possible is for the target to say: %s",
		result.From, shown(result.Open), because, isolationPage)
}

// unproven judges a way that nothing shows to be open.
func unproven(s *scope, result directway.Result, tried bool) kit.Verdict {
	const kind = v1alpha1.ConditionIsolated
	isolation := s.connection.Spec.Isolation
	logins := watched(s.live)
	closed := fmt.Sprintf("from %s, which is no proxy, %s could not be connected to", result.From, shown(result.Closed))
	switch {
	case isolation.PodSelector != nil && s.surroundings.target == 0:
		return kit.Unknown(kind, v1alpha1.ReasonTargetNotFound, "spec.isolation.podSelector selects no pod of this namespace, so that the NetworkPolicy closes nothing: see the labels of the target's pods; "+logins)
	case isolation.Probe == v1alpha1.IsolationProbeDisabled:
		return kit.Unknown(kind, v1alpha1.ReasonNotProbed, "spec.isolation.probe is Disabled: nobody tries whether the way is closed; "+logins)
	case !tried:
		return kit.Unknown(kind, v1alpha1.ReasonNotProbed, "the direct way was not tried yet; "+logins)
	case s.now.After(result.Until):
		return kit.Unknown(kind, v1alpha1.ReasonNotProbed, fmt.Sprintf(
			"from %s the direct way was last tried at %s, too long ago to say anything of now: see whether the manager runs, and how much it has to try; %s",
			result.From, result.At.UTC().Format(time.RFC3339), logins))
	case result.Untold != "":
		return kit.Unknown(kind, v1alpha1.ReasonNotProbed, fmt.Sprintf("from %s the direct way could not be tried: %s; %s", result.From, result.Untold, logins))
	case isolation.PodSelector == nil:
		return kit.Unknown(kind, v1alpha1.ReasonNotApplicable, closed+", which says nothing of other places: the target runs elsewhere, where its own rules and a firewall have to admit the proxies alone: "+
			isolationPage+"; "+logins)
	case result.Control != "":
		return kit.Unknown(kind, v1alpha1.ReasonEnforcementUnknown, fmt.Sprintf(
			"%s, but neither could the proxies (%s), which all may: the manager's own way out may be restricted; %s", closed, result.Control, logins))
	}
	if unreached := unreached(s); len(unreached) > 0 {
		return kit.Unknown(kind, v1alpha1.ReasonEnforcementUnknown, fmt.Sprintf("%s, but no proxy has reached %s lately either, which may be down; %s", closed, shown(unreached), logins))
	}
	if slices.ContainsFunc(s.live, func(o observed) bool { return o.Target != nil && o.Target.Trouble != "" }) {
		return kit.Unknown(kind, v1alpha1.ReasonLoginsUnknown, closed+", but somebody may be logged in whom nobody tells of; "+logins)
	}
	return kit.True(kind, v1alpha1.ReasonDirectWayClosed, closed+", while the proxies could, and a proxy reaches the target; other places were not tried; "+logins)
}

// unreached are the targets that no proxy has reached a short while ago.
func unreached(s *scope) []string {
	var all []string
	for _, t := range s.connection.Spec.Targets {
		if !slices.ContainsFunc(s.live, func(o observed) bool {
			return o.Target != nil && o.ObservedAt.Sub(o.Target.Reached[address(t)]) < reachedFor
		}) {
			all = append(all, address(t))
		}
	}
	return all
}

// watched says how far logins at the target are watched.
func watched(live []observed) string {
	looking, trouble := 0, ""
	for _, o := range live {
		if o.Target == nil || !o.Target.Watched {
			continue
		}
		if o.Target.Trouble != "" {
			trouble = fmt.Sprintf(": proxy %q: %s", o.Instance, o.Target.Trouble)
			continue
		}
		looking++
	}
	if looking == 0 {
		return "logins at the target are not watched" + trouble
	}
	return fmt.Sprintf("%d of %d proxies watch logins at the target%s", looking, len(live), trouble)
}

// shown names the first few of what a condition is about.
func shown(names []string) string {
	if len(names) > maxShown {
		names = append(slices.Clone(names[:maxShown]), fmt.Sprintf("and %d more", len(names)-maxShown))
	}
	return strings.Join(names, ", ")
}

// tellOfIsolation tells, once for each change, that the way round the proxies was
// found open, or closed.
func (r *Reconciler) tellOfIsolation(s *scope, now kit.Verdict) {
	before := meta.FindStatusCondition(s.connection.Status.Conditions, v1alpha1.ConditionIsolated)
	if before != nil && before.Reason == now.Reason {
		return
	}
	switch {
	case now.OK():
		r.event(s, corev1.EventTypeNormal, now.Reason, "Isolate", "%s", cut(now.Message, 1000))
	case now.Status == metav1.ConditionFalse && now.Reason != v1alpha1.ReasonNotRequested:
		r.warn(s, now.Reason, "Isolate", "%s", cut(now.Message, 1000))
	}
}
