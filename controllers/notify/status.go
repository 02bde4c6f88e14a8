// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"errors"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

// writeStatus writes every condition from what the steps observed.
func writeStatus(s *scope, runErr error) {
	status := &s.notifier.Status
	status.ObservedGeneration = s.notifier.Generation
	accepted := kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "")
	var fault *kit.Stalled
	switch {
	case errors.As(runErr, &fault):
		accepted = kit.False(v1alpha1.ConditionAccepted, fault.Reason, fault.Error())
	case runErr != nil && s.receiver == nil:
		accepted = kit.Unknown(v1alpha1.ConditionAccepted, v1alpha1.ReasonProgressing, runErr.Error())
	}
	if s.gathered {
		waiting := int32(min(len(s.pending)-s.told, 1<<30)) //nolint:gosec // bounded just here
		status.Waiting = &waiting
	}
	reachable := lastReachable(s)
	ready := kit.Summarise(v1alpha1.ConditionReady, v1alpha1.ReasonReady, accepted, reachable)
	if accepted.OK() && reachable.Reason == v1alpha1.ReasonNothingSent {
		ready = kit.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "there was nothing to tell yet")
	}
	kit.Write(&status.Conditions, s.notifier.Generation, accepted, reachable, ready)
}

// lastReachable is what the last attempt came to, of this manager or of the one before.
func lastReachable(s *scope) kit.Verdict {
	if s.memory.reachable != nil {
		return *s.memory.reachable
	}
	if c := meta.FindStatusCondition(s.notifier.Status.Conditions, v1alpha1.ConditionReachable); c != nil {
		return kit.Verdict{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message}
	}
	return kit.Unknown(v1alpha1.ConditionReachable, v1alpha1.ReasonNothingSent, "there was nothing to tell yet")
}
