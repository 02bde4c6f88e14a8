// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package identityprovider

import (
	"errors"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

// writeStatus writes every condition from what the steps observed.
func writeStatus(s *scope) {
	status := &s.provider.Status
	status.ObservedGeneration = s.provider.Generation
	if s.provider.Spec.SAML != nil {
		writeSAML(s)
		return
	}
	kit.Remove(&status.Conditions, v1alpha1.ConditionMetadataCurrent)
	reachable := kit.True(v1alpha1.ConditionIssuerReachable, v1alpha1.ReasonDiscovered, "")
	switch {
	case s.reviewed:
		reachable = kit.True(v1alpha1.ConditionIssuerReachable, v1alpha1.ReasonNotNeeded, "proxies ask their API server about tokens (TokenReview)")
	case !s.asked:
		reachable = kit.Unknown(v1alpha1.ConditionIssuerReachable, v1alpha1.ReasonProgressing, "not asked, since the provider is not accepted")
	case errors.Is(s.answer, ErrIssuerMismatch):
		reachable = kit.False(v1alpha1.ConditionIssuerReachable, v1alpha1.ReasonIssuerMismatch, s.answer.Error())
	case s.answer != nil:
		reachable = kit.False(v1alpha1.ConditionIssuerReachable, v1alpha1.ReasonUnreachable,
			s.answer.Error()+": check issuer.url or issuer.discoveryURL, its certificateAuthority and the network's way from the manager to it")
	}
	ready := kit.Summarise(v1alpha1.ConditionReady, v1alpha1.ReasonReady, s.accepted, reachable)
	kit.Write(&status.Conditions, s.provider.Generation, s.accepted, reachable, ready)
}

// writeSAML writes the conditions of a provider that nobody is asked about. That its
// metadata ends soon keeps nobody out yet.
func writeSAML(s *scope) {
	status := &s.provider.Status
	kit.Remove(&status.Conditions, v1alpha1.ConditionIssuerReachable)
	verdicts := []kit.Verdict{s.accepted}
	if s.current.Reason != v1alpha1.ReasonExpiresSoon {
		verdicts = append(verdicts, s.current)
	}
	ready := kit.Summarise(v1alpha1.ConditionReady, v1alpha1.ReasonReady, verdicts...)
	kit.Write(&status.Conditions, s.provider.Generation, s.accepted, s.current, ready)
}
