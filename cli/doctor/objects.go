// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// defaultStaleness is that of a Connection that says none.
const defaultStaleness = 300 * time.Second

// condition tells of an object whose condition is not True; false where it is.
func (e *examiner) condition(kind, namespace, name, want string, conditions []metav1.Condition, generation int64) bool {
	full := kind + " " + name
	see := fmt.Sprintf("see \"kubectl describe %s %s\"", strings.ToLower(kind), name)
	if namespace != "" {
		full = kind + " " + namespace + "/" + name
		see = fmt.Sprintf("see \"kubectl -n %s describe %s %s\"", namespace, strings.ToLower(kind), name)
	}
	c := meta.FindStatusCondition(conditions, want)
	switch {
	case c == nil:
		e.fail("see whether the manager runs", "%s has no condition %s: no manager has seen it", full, want)
	case c.ObservedGeneration != 0 && c.ObservedGeneration < generation:
		e.warn("wait a moment; if it stays so, see whether the manager runs", "%s was changed, and the manager has not seen that yet", full)
	case c.Status == metav1.ConditionTrue:
		return false
	default:
		e.fail(see, "%s: %s is %s: %s: %s", full, want, c.Status, c.Reason, c.Message)
	}
	return true
}

func lookAtProviders(ctx context.Context, e *examiner) {
	var all v1alpha1.IdentityProviderList
	if !e.list(ctx, &all, "identityproviders."+v1alpha1.GroupName) {
		return
	}
	if len(all.Items) == 0 {
		e.warn("make an IdentityProvider: without one, nobody can prove who he is", "there is no IdentityProvider")
		return
	}
	bad := 0
	for i := range all.Items {
		p := &all.Items[i]
		if e.condition("IdentityProvider", "", p.Name, v1alpha1.ConditionReady, p.Status.Conditions, p.Generation) {
			bad++
		}
		if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionMetadataCurrent); c != nil && c.Reason == v1alpha1.ReasonExpiresSoon {
			e.warn("write the identity provider's present metadata into spec.saml.metadata", "IdentityProvider %s: %s", p.Name, c.Message)
		}
	}
	if bad == 0 {
		e.ok("%d identity providers are ready", len(all.Items))
	}
}

func lookAtSinks(ctx context.Context, e *examiner) {
	var all v1alpha1.LogSinkList
	if !e.list(ctx, &all, "logsinks."+v1alpha1.GroupName) {
		return
	}
	if len(all.Items) == 0 {
		e.warn("make a LogSink, so that records leave the proxies", "there is no LogSink: records stay where they were made")
		return
	}
	bad := 0
	for i := range all.Items {
		s := &all.Items[i]
		if e.condition("LogSink", "", s.Name, v1alpha1.ConditionReady, s.Status.Conditions, s.Generation) {
			bad++
		}
	}
	if bad == 0 {
		e.ok("%d sinks take records", len(all.Items))
	}
}

// lookAtNotifiers has nothing to say where there is none: nobody need be told by a chat.
func lookAtNotifiers(ctx context.Context, e *examiner) {
	var all v1alpha1.NotifierList
	if !e.list(ctx, &all, "notifiers."+v1alpha1.GroupName) {
		return
	}
	bad := 0
	for i := range all.Items {
		n := &all.Items[i]
		if e.condition("Notifier", "", n.Name, v1alpha1.ConditionReady, n.Status.Conditions, n.Generation) {
			bad++
		}
	}
	if bad == 0 && len(all.Items) > 0 {
		e.ok("%d notifiers tell their receivers", len(all.Items))
	}
}

func lookAtPolicies(ctx context.Context, e *examiner) {
	var own v1alpha1.AccessPolicyList
	var cluster v1alpha1.ClusterAccessPolicyList
	if !e.list(ctx, &own, "accesspolicies."+v1alpha1.GroupName) || !e.list(ctx, &cluster, "clusteraccesspolicies."+v1alpha1.GroupName) {
		return
	}
	bad := 0
	for i := range own.Items {
		p := &own.Items[i]
		if e.condition("AccessPolicy", p.Namespace, p.Name, v1alpha1.ConditionAccepted, p.Status.Conditions, p.Generation) {
			bad++
		}
	}
	for i := range cluster.Items {
		p := &cluster.Items[i]
		if e.condition("ClusterAccessPolicy", "", p.Name, v1alpha1.ConditionAccepted, p.Status.Conditions, p.Generation) {
			bad++
		}
	}
	if bad == 0 {
		e.ok("%d policies are accepted", len(own.Items)+len(cluster.Items))
	}
}

// lookAtConnections looks at Connections and their proxies: whether they serve, which
// revision they run, and when they were heard of last.
func lookAtConnections(ctx context.Context, e *examiner) {
	var all v1alpha1.ConnectionList
	if !e.list(ctx, &all, "connections."+v1alpha1.GroupName) {
		return
	}
	proxies, bad := 0, 0
	for i := range all.Items {
		c := &all.Items[i]
		if e.condition("Connection", c.Namespace, c.Name, v1alpha1.ConditionReady, c.Status.Conditions, c.Generation) {
			bad++
		}
		staleness := defaultStaleness
		if seconds := c.Spec.Proxy.MaxStalenessSeconds; seconds > 0 {
			staleness = time.Duration(seconds) * time.Second
		}
		for n := range c.Status.Proxies {
			proxies++
			if e.proxy(c, &c.Status.Proxies[n], staleness) {
				bad++
			}
		}
	}
	if bad == 0 {
		e.ok("%d Connections are ready, and %d proxies run what was published last", len(all.Items), proxies)
	}
}

func (e *examiner) proxy(c *v1alpha1.Connection, p *v1alpha1.ProxyStatus, staleness time.Duration) bool {
	name := fmt.Sprintf("proxy %s of Connection %s/%s", p.Instance, c.Namespace, c.Name)
	age := e.now().Sub(p.ObservedAt.Time)
	switch {
	case age > staleness:
		e.fail("see its log, and whether it reaches the API server; one that has gone for good is left out of the status after a while",
			"%s was not heard of for %s, more than its maxStaleness of %s: it serves nobody", name, age.Round(time.Second), staleness)
	case age < -skewFail:
		e.fail("synchronize the clocks by NTP", "%s has a clock that is %s ahead of the API server's", name, (-age).Round(time.Second))
	case p.Message != "":
		e.fail("see its log", "%s does not serve: %s", name, p.Message)
	case c.Status.Snapshot != nil && p.Revision < c.Status.Snapshot.Revision && e.now().Sub(c.Status.Snapshot.PublishedAt.Time) > skewFail:
		e.fail("see its log: it may be older than the manager, or refuse what the manager signs",
			"%s runs revision %d, and revision %d was published at %s", name, p.Revision, c.Status.Snapshot.Revision, c.Status.Snapshot.PublishedAt.UTC().Format(time.RFC3339))
	default:
		return false
	}
	return true
}

// lookAtIsolation asks whether there is a way round the proxies.
func lookAtIsolation(ctx context.Context, e *examiner) {
	var all v1alpha1.ConnectionList
	if !e.list(ctx, &all, "connections."+v1alpha1.GroupName) {
		return
	}
	closed := 0
	for i := range all.Items {
		c := &all.Items[i]
		found := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionIsolated)
		if found != nil && found.Status == metav1.ConditionTrue {
			closed++
			continue
		}
		const page = "see docs/operations/isolation.md"
		switch {
		case found == nil:
			e.warn("see whether the manager runs", "Connection %s/%s: nothing is known of ways round its proxies", c.Namespace, c.Name)
		case found.Status == metav1.ConditionFalse && found.Reason == v1alpha1.ReasonForeignLogins:
			e.fail("find out who it is, and change the password at the target: "+page, "Connection %s/%s: %s: %s", c.Namespace, c.Name, found.Reason, found.Message)
		case found.Status == metav1.ConditionFalse && found.Reason == v1alpha1.ReasonDirectWayOpen:
			e.fail("close the network around the target: "+page, "Connection %s/%s: %s: %s", c.Namespace, c.Name, found.Reason, found.Message)
		default:
			e.warn(page, "Connection %s/%s: %s: %s", c.Namespace, c.Name, found.Reason, found.Message)
		}
	}
	if closed == len(all.Items) {
		e.ok("%d Connections have no known way round their proxies", closed)
	}
}
