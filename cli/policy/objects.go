// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
)

// objects are what decisions are made of, and where each of them is written.
type objects struct {
	// orFiles says that files could have been given instead of a cluster's objects.
	orFiles         bool
	connections     []v1alpha1.Connection
	policies        []v1alpha1.AccessPolicy
	clusterPolicies []v1alpha1.ClusterAccessPolicy
	providers       []v1alpha1.IdentityProvider
	// namespaces are their labels by name.
	namespaces map[string]map[string]string
	configMaps []corev1.ConfigMap
	// origins are by [objectName].
	origins map[string]origin
	cases   []testFile
}

func newObjects() *objects {
	return &objects{namespaces: map[string]map[string]string{}, origins: map[string]origin{}}
}

// objectName tells objects apart, and names them to people.
func objectName(kind, namespace, name string) string {
	if namespace == "" {
		return kind + " " + name
	}
	return kind + " " + namespace + "/" + name
}

// labelsOf are a namespace's labels, with the one that the API server gives to each.
func labelsOf(namespace *corev1.Namespace) map[string]string {
	labels := maps.Clone(namespace.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[corev1.LabelMetadataName] = namespace.Name
	return labels
}

// find is the Connection of a name. Without a namespace it is the only one of that name.
func (o *objects) find(namespace, name string) (*v1alpha1.Connection, error) {
	var found []*v1alpha1.Connection
	var names []string
	for i := range o.connections {
		c := &o.connections[i]
		if namespace != "" && c.Namespace != namespace {
			continue
		}
		names = append(names, c.Name)
		if c.Name == name {
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("several Connections are named %q, in namespaces %s and %s: say which with --namespace", name, found[0].Namespace, found[1].Namespace)
	}
	where := ""
	if namespace != "" {
		where = fmt.Sprintf(" in namespace %q", namespace)
	}
	hint := ""
	if near := compile.Nearest(name, names); near != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", near)
	}
	return nil, fmt.Errorf("no Connection is named %q%s%s", name, where, hint)
}

// world is what a namespace's Connections are compiled from.
func (o *objects) world(ctx context.Context, namespace string, deps *Dependencies) compile.World {
	world := compile.World{
		ClusterPolicies: o.clusterPolicies, Providers: o.providers, Namespaces: maps.Clone(o.namespaces),
		Protocols: deps.Protocols, CheckModule: compile.ModulesBy(ctx, deps.CheckModule), MaskKey: exampleKey,
	}
	if _, there := world.Namespaces[namespace]; !there {
		world.Namespaces[namespace] = map[string]string{corev1.LabelMetadataName: namespace}
	}
	for i := range o.connections {
		if o.connections[i].Namespace == namespace {
			world.Connections = append(world.Connections, o.connections[i])
		}
	}
	for i := range o.policies {
		if o.policies[i].Namespace == namespace {
			world.Policies = append(world.Policies, o.policies[i])
		}
	}
	for i := range o.configMaps {
		if o.configMaps[i].Namespace == namespace {
			world.ConfigMaps = append(world.ConfigMaps, o.configMaps[i])
		}
	}
	return world
}

// exampleKey stands for the manager's key of masks: nothing is masked here.
func exampleKey(types.UID) (snapshot.MaskKey, error) {
	return snapshot.NewMaskKey(make([]byte, snapshot.MaskKeySize))
}

// compiled is one Connection with its policies, ready to be asked.
type compiled struct {
	connection *v1alpha1.Connection
	objects    *objects
	snapshot   *snapshot.Snapshot
	engine     policy.Engine
	vocabulary policy.Vocabulary
	// refused are policies that are not accepted; closed says that one of these closes
	// the Connection to everybody.
	refused []refusedPolicy
	closed  bool
}

// refusedPolicy is a policy that the manager would not accept.
type refusedPolicy struct {
	Policy  string `json:"policy"`
	Source  place  `json:"source"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

func (r *refusedPolicy) Error() string {
	return fmt.Sprintf("%s: %s is not accepted: %s: %s", r.Source, r.Policy, r.Reason, r.Message)
}

// compile makes of a Connection what proxies would run on.
func (o *objects) compile(ctx context.Context, c *v1alpha1.Connection, deps *Dependencies) (*compiled, error) {
	world := o.world(ctx, c.Namespace, deps)
	result := compile.Connection(c, world)
	if result.Snapshot == nil {
		return nil, o.refusal(c, result.Accepted.Reason, result.Accepted.Message)
	}
	out := &compiled{connection: c, objects: o, snapshot: result.Snapshot, closed: len(result.ClosedBy) > 0}
	for _, refused := range o.judge(world) {
		if o.concerns(refused.Policy, c, world) {
			out.refused = append(out.refused, refused)
		}
	}
	out.vocabulary = deps.Protocols[c.Spec.Protocol].Vocabulary()
	var err error
	if out.engine, err = deps.Engine(ctx, result.Snapshot.Policies, result.Snapshot.About()); err != nil {
		return nil, fmt.Errorf("the policies of Connection %q do not compile, so nobody is let through: %w", c.Name, err)
	}
	return out, nil
}

// refusal says that a Connection is not accepted.
func (o *objects) refusal(c *v1alpha1.Connection, reason, message string) error {
	where := o.origins[objectName("Connection", c.Namespace, c.Name)].at("spec")
	return fmt.Errorf("%s: Connection %q is not accepted, so nobody is let through: %s: %s", where, c.Name, reason, message)
}

// judge returns the policies of a world that are not accepted.
func (o *objects) judge(world compile.World) []refusedPolicy {
	var refused []refusedPolicy
	note := func(kind string, m *metav1.ObjectMeta, verdict kit.Verdict) {
		if verdict.OK() {
			return
		}
		name := objectName(kind, m.Namespace, m.Name)
		refused = append(refused, refusedPolicy{Policy: name, Source: o.origins[name].faultAt(verdict.Message), Reason: verdict.Reason, Message: verdict.Message})
	}
	for i := range world.Policies {
		p := &world.Policies[i]
		note("AccessPolicy", &p.ObjectMeta, compile.Policy(p, world).Accepted)
	}
	everywhere := world
	everywhere.Connections = o.connections
	for i := range world.ClusterPolicies {
		p := &world.ClusterPolicies[i]
		note("ClusterAccessPolicy", &p.ObjectMeta, compile.ClusterPolicy(p, everywhere).Accepted)
	}
	return refused
}

// concerns says whether a policy selects the Connection, or none at all.
func (o *objects) concerns(name string, c *v1alpha1.Connection, world compile.World) bool {
	for i := range world.Policies {
		p := &world.Policies[i]
		if objectName("AccessPolicy", p.Namespace, p.Name) == name {
			selected := compile.Policy(p, world).Connections
			return len(selected) == 0 || slices.Contains(selected, c.Name)
		}
	}
	for i := range world.ClusterPolicies {
		p := &world.ClusterPolicies[i]
		if objectName("ClusterAccessPolicy", "", p.Name) == name {
			return slices.Contains(compile.ClusterPolicy(p, world).Connections, c.Namespace+"/"+c.Name)
		}
	}
	return false
}

// faultAt is where a verdict of the compiler finds the fault, as far as its message tells.
func (o origin) faultAt(message string) place {
	if line, ok := o.moduleLine(message); ok {
		return line
	}
	if _, rest, named := strings.Cut(message, "spec."); named {
		path, _, _ := strings.Cut(rest, " ")
		return o.at(fields("spec." + strings.TrimRight(path, ":;,"))...)
	}
	for _, list := range []string{"rule", "mask"} {
		if _, rest, named := strings.Cut(message, list+" \""); named {
			name, _, _ := strings.Cut(rest, "\"")
			return o.named(list+"s", name)
		}
	}
	return o.at("metadata", "name")
}

// moduleLine is the line of a file that a fault within an inline module stands on.
func (o origin) moduleLine(message string) (place, bool) {
	number, _, _ := strings.Cut(strings.TrimPrefix(message, "spec.rego: "), ":")
	line, err := strconv.Atoi(number)
	if err != nil || o.document == nil || lookup(o.document.node, "spec", "rego", "inline") == nil {
		return place{}, false
	}
	// The text of a block begins on the line below its key.
	at := o.at("spec", "rego", "inline")
	at.Line += line
	return at, true
}

// named is the place of a rule or mask.
func (o origin) named(list, name string) place {
	if o.document == nil {
		return place{Object: o.object, Field: fmt.Sprintf("spec.%s[name=%s]", list, name)}
	}
	if all := lookup(o.document.node, "spec", list); all != nil {
		for i := range all.Content {
			if found := lookup(all.Content[i], "name"); found != nil && found.Value == name {
				return o.at("spec", list, i)
			}
		}
	}
	return o.at("spec", list)
}

// assumeAuthority takes it that the ConfigMap with the authority of a Connection's target
// is there, where files do not hold it: it is made by other means than policies, and no
// decision depends on it. It says of which Connections.
func (o *objects) assumeAuthority() []string {
	var notes []string
	for i := range o.connections {
		c := &o.connections[i]
		if c.Spec.TLS == nil || c.Spec.TLS.CertificateAuthority == nil || c.Spec.TLS.CertificateAuthority.ConfigMap == nil {
			continue
		}
		name := c.Spec.TLS.CertificateAuthority.ConfigMap.Name
		if slices.ContainsFunc(o.configMaps, func(m corev1.ConfigMap) bool { return m.Namespace == c.Namespace && m.Name == name }) {
			continue
		}
		c.Spec.TLS.CertificateAuthority = nil
		notes = append(notes, fmt.Sprintf("ConfigMap %s/%s, which holds the authority of the target of Connection %s, is taken to be there", c.Namespace, name, c.Name))
	}
	return notes
}
