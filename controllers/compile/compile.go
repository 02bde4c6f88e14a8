// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package compile turns API objects into snapshots and verdicts. It is pure: no
// client, no clock; equal input gives equal output.
//
// Its rule for faults is that a fault narrows access and never widens it:
//
//   - A Connection that is not in order gets no new snapshot; [Closed] makes of
//     the one that proxies run on a snapshot that lets nobody through.
//   - A policy that is not in order allows nothing. If it was to restrict (it holds a
//     Deny or RequireApproval rule, a mask, a limit, a targetRole or a module of Rego,
//     or is a ClusterAccessPolicy, and is not in mode Audit), leaving it out would widen
//     access, so every Connection that it selects is closed to everybody until the policy
//     is repaired or deleted; the refusal names the policy.
//   - An IdentityProvider or LogSink that is not in order is left out: nobody
//     can prove themselves by it, and nothing is sent to it. Only where it is the
//     Secret of a LogSink that is at fault, records are kept for the sink until
//     the Secret is repaired.
//   - A snapshot that does not fit gives way to the previous one, narrowed by
//     [Narrow].
package compile

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Protocol is what compiling needs to know of a protocol.
type Protocol interface {
	// Name is the value of spec.protocol.
	Name() string
	// Vocabulary is what rules and masks may name.
	Vocabulary() policy.Vocabulary
	// ValidateOptions decodes spec.options strictly; nil means that none were given.
	ValidateOptions(options json.RawMessage) error
	// DefaultPort is the port that callers use where none is set.
	DefaultPort() int32
}

// Protocols are the known protocols by name.
type Protocols map[string]Protocol

// NewProtocols makes the registry.
func NewProtocols(all ...Protocol) Protocols {
	protocols := Protocols{}
	for _, protocol := range all {
		protocols[protocol.Name()] = protocol
	}
	return protocols
}

// UseHostKeys says whether callers know the proxies of a protocol by SSH host keys: see
// protocol.HostKeyUser.
func (p Protocols) UseHostKeys(name string) bool {
	user, ok := p[name].(interface{ UsesHostKeys() bool })
	return ok && user.UsesHostKeys()
}

// Names returns the known names, sorted.
func (p Protocols) Names() []string {
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	return sortStrings(names)
}

// World is everything a namespace's Connections are compiled from.
type World struct {
	// Connections and Policies are all of one namespace.
	Connections []v1alpha1.Connection
	Policies    []v1alpha1.AccessPolicy
	// ClusterPolicies are all of the cluster. Namespaces are the labels of those
	// namespaces that the Connections are in.
	ClusterPolicies []v1alpha1.ClusterAccessPolicy
	Namespaces      map[string]map[string]string
	// Providers and Sinks are all of the cluster.
	Providers []v1alpha1.IdentityProvider
	Sinks     []v1alpha1.LogSink
	// Login is what proves gateway credentials, see [Login].
	Login snapshot.Login
	// ConfigMaps are those of the namespace that Connections and policies refer to.
	ConfigMaps []corev1.ConfigMap
	Protocols  Protocols
	// CheckModule says what is wrong with a module of Rego, and which claims of the caller's
	// token it reads. Where it is nil, a module is only found out by the proxies, which then
	// refuse everything, and no claim is kept for it.
	CheckModule func(text string) (claims []string, err error)
	// MaskKey derives a Connection's key of masks. It must return the same key for
	// the same UID, for ever.
	MaskKey func(uid types.UID) (snapshot.MaskKey, error)
}
