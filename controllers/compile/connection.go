// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
)

// DefaultMaxStalenessSeconds is spec.proxy.maxStalenessSeconds where unset.
const DefaultMaxStalenessSeconds = 300

// DefaultMaxConcurrent is spec.session.maxConcurrent where unset.
const DefaultMaxConcurrent = 1000

// maxOptionsBytes bounds spec.options.
const maxOptionsBytes = 16 << 10

// ConnectionResult is what a Connection compiles to.
type ConnectionResult struct {
	Accepted kit.Verdict `json:"accepted"`
	// Snapshot lacks revision and time. Nil where the Connection itself is at fault.
	Snapshot *snapshot.Snapshot `json:"snapshot,omitempty"`
	// ClosedBy are the names of the policies at fault that close the Connection.
	ClosedBy []string `json:"closedBy,omitempty"`
}

// Connection compiles one Connection of the world.
func Connection(c *v1alpha1.Connection, world World) ConnectionResult {
	authority, f := connectionFault(c, world)
	if f != nil {
		return ConnectionResult{Accepted: kit.False(v1alpha1.ConditionAccepted, f.reason, f.err.Error())}
	}
	s := &snapshot.Snapshot{
		Schema:              snapshot.Schema,
		Connection:          snapshot.Connection{Namespace: c.Namespace, Name: c.Name, UID: string(c.UID), Generation: c.Generation},
		Protocol:            c.Spec.Protocol,
		TLS:                 snapshot.TLS{Mode: string(v1alpha1.TLSVerifyFull)},
		Credential:          snapshot.Credential{Type: string(c.Spec.Credential.Type)},
		Options:             options(c),
		Session:             snapshot.Session{MaxConcurrent: DefaultMaxConcurrent},
		Audit:               audit(c),
		MaxStalenessSeconds: DefaultMaxStalenessSeconds,
	}
	for _, target := range c.Spec.Targets {
		s.Targets = append(s.Targets, snapshot.Target{Host: target.Host, Port: target.Port})
	}
	if tls := c.Spec.TLS; tls != nil {
		if tls.Mode != "" {
			s.TLS.Mode = string(tls.Mode)
		}
		s.TLS.ServerName, s.TLS.CA = tls.ServerName, authority
	}
	if secret := c.Spec.Credential.Secret; secret != nil {
		s.Credential.Secret = secret.Name
	}
	if file := c.Spec.Credential.File; file != nil {
		s.Credential.File = file.Path
	}
	if session := c.Spec.Session; session != nil {
		s.Session.MaxDurationSeconds, s.Session.IdleTimeoutSeconds = session.MaxDurationSeconds, session.IdleTimeoutSeconds
		if session.MaxConcurrent != 0 {
			s.Session.MaxConcurrent = session.MaxConcurrent
		}
	}
	if seconds := c.Spec.Proxy.MaxStalenessSeconds; seconds != 0 {
		s.MaxStalenessSeconds = seconds
	}
	s.IdentityProviders, _ = Providers(world.Providers)
	s.Login = loginOf(s, world)
	s.Sinks = sinksOf(c, world.Sinks)
	var closedBy []string
	s.Policies, closedBy = policies(c, world)
	nameClaims(s.IdentityProviders, s.Policies)
	if err := fewClaims(s.IdentityProviders); err != nil {
		return ConnectionResult{Accepted: kit.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, err.Error())}
	}
	if slices.ContainsFunc(s.Policies.Policies, func(p policy.Policy) bool { return p.Rego != "" }) {
		s.Labels = c.Labels
	}
	if keyed(s.Policies) {
		var err error
		if s.MaskKey, err = world.MaskKey(c.UID); err != nil {
			return ConnectionResult{Accepted: kit.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, err.Error())}
		}
	}
	accepted := kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "")
	if len(closedBy) > 0 {
		accepted = kit.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonPolicyAtFault, fmt.Sprintf(
			"nobody is let through because a policy that restricts is at fault: repair or delete %s", strings.Join(closedBy, ", ")))
	}
	return ConnectionResult{Accepted: accepted, Snapshot: s, ClosedBy: closedBy}
}

// connectionFault returns what is wrong with the Connection, or the PEM text of
// the target's authorities.
func connectionFault(c *v1alpha1.Connection, world World) (string, *fault) {
	protocol, known := world.Protocols[c.Spec.Protocol]
	if !known {
		return "", &fault{v1alpha1.ReasonUnsupportedProtocol, fmt.Errorf("no proxy speaks protocol %q%s: this version has %s",
			c.Spec.Protocol, didYouMean(c.Spec.Protocol, world.Protocols.Names()), strings.Join(world.Protocols.Names(), ", "))}
	}
	raw := options(c)
	if len(raw) > maxOptionsBytes {
		return "", &fault{v1alpha1.ReasonInvalidOptions, fmt.Errorf("spec.options has %d bytes, the limit is %d", len(raw), maxOptionsBytes)}
	}
	if err := protocol.ValidateOptions(raw); err != nil {
		return "", &fault{v1alpha1.ReasonInvalidOptions, fmt.Errorf("spec.options: %w", err)}
	}
	if len(c.Spec.Targets) == 0 {
		return "", &fault{v1alpha1.ReasonInvalid, fmt.Errorf("spec.targets: at least one address is needed")}
	}
	if err := CredentialFault(c, world.Connections); err != nil {
		return "", &fault{v1alpha1.ReasonInvalid, err}
	}
	if f := logFault(c); f != nil {
		return "", f
	}
	return targetAuthority(c, world)
}

func targetAuthority(c *v1alpha1.Connection, world World) (string, *fault) {
	if c.Spec.TLS == nil || c.Spec.TLS.CertificateAuthority == nil {
		return "", nil
	}
	ref := c.Spec.TLS.CertificateAuthority.ConfigMap
	if ref == nil {
		return "", &fault{v1alpha1.ReasonInvalid, fmt.Errorf("spec.tls.certificateAuthority: configMap is needed")}
	}
	i := slices.IndexFunc(world.ConfigMaps, func(m corev1.ConfigMap) bool { return m.Name == ref.Name })
	if i < 0 {
		return "", &fault{v1alpha1.ReasonReferenceNotFound, fmt.Errorf("spec.tls.certificateAuthority: no ConfigMap %q in this namespace: create it with the key %q", ref.Name, ref.Key)}
	}
	text, ok := world.ConfigMaps[i].Data[ref.Key]
	if !ok {
		return "", &fault{v1alpha1.ReasonReferenceNotFound, fmt.Errorf("spec.tls.certificateAuthority: ConfigMap %q has no key %q", ref.Name, ref.Key)}
	}
	if err := checkPEM(text); err != nil {
		return "", &fault{v1alpha1.ReasonInvalidCertificateAuthority, fmt.Errorf("spec.tls.certificateAuthority: ConfigMap %q, key %q: %w", ref.Name, ref.Key, err)}
	}
	return text, nil
}

func options(c *v1alpha1.Connection) json.RawMessage {
	if c.Spec.Options == nil || len(c.Spec.Options.Raw) == 0 {
		return nil
	}
	return c.Spec.Options.Raw
}

// policies compiles the policies that select a Connection. Where a policy that
// restricts is at fault, it returns the closed set and the kinds and names of those at
// fault.
func policies(c *v1alpha1.Connection, world World) (policy.Set, []string) {
	set := policy.Set{Policies: []policy.Policy{}}
	var closedBy []string
	var closing []policy.Policy
	for _, p := range world.policiesOf(c) {
		switch f := policyFault(p, world); {
		case f == nil:
			set.Policies = append(set.Policies, forProtocol(compilePolicy(p, world), c.Spec.Protocol, world.Protocols[c.Spec.Protocol].Vocabulary()))
		case p.restricts():
			closedBy = append(closedBy, fmt.Sprintf("%s %s", p.kind(), p.Name))
			closed := denyAll(p.Name, string(p.UID), p.Generation,
				fmt.Sprintf("closed because %s %q is at fault; see its condition Accepted", p.kind(), p.Name))
			closed.Cluster = p.cluster
			closing = append(closing, closed)
		}
	}
	if len(closing) > 0 {
		set.Policies = closing
	}
	endWithToken(set.Policies)
	slices.SortFunc(set.Policies, func(a, b policy.Policy) int { return strings.Compare(setKey(a), setKey(b)) })
	return set, sortStrings(closedBy)
}

// setKey orders the policies of a set, and tells them apart.
func setKey(p policy.Policy) string {
	if p.Cluster {
		return p.Name + "/cluster"
	}
	return p.Name
}

// policiesOf are the policies that select a Connection.
func (w *World) policiesOf(c *v1alpha1.Connection) []*written {
	var found []*written
	for i := range w.Policies {
		if p := ofPolicy(&w.Policies[i]); p.selects(c, w.Namespaces) {
			found = append(found, p)
		}
	}
	for i := range w.ClusterPolicies {
		if p := ofClusterPolicy(&w.ClusterPolicies[i]); p.selects(c, w.Namespaces) {
			found = append(found, p)
		}
	}
	return found
}

// keyed says whether a mask of the set needs the Connection's key. A snapshot
// without such a mask holds none.
func keyed(set policy.Set) bool {
	return slices.ContainsFunc(set.Policies, func(p policy.Policy) bool {
		return slices.ContainsFunc(p.Masks, func(m policy.Mask) bool { return m.Method.Keyed() })
	})
}
