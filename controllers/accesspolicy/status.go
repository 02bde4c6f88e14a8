// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package accesspolicy

import (
	"fmt"
	"strings"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

// writeStatus writes every condition from what the steps observed.
func writeStatus(s *scope, runErr error) {
	status := &s.policy.Status
	accepted := s.result.Accepted
	if !s.compiled {
		accepted = kit.Unknown(v1alpha1.ConditionAccepted, v1alpha1.ReasonProgressing, runErr.Error())
	}
	ready := kit.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "")
	switch {
	case !accepted.OK():
		ready = kit.Summarise(v1alpha1.ConditionReady, v1alpha1.ReasonReady, accepted)
	case runErr != nil:
		ready = kit.False(v1alpha1.ConditionReady, v1alpha1.ReasonNotReady, runErr.Error())
	case len(s.behind) > 0:
		ready = kit.False(v1alpha1.ConditionReady, v1alpha1.ReasonProgressing,
			fmt.Sprintf("not yet in the snapshot of %s: see whether the Connection is Accepted", strings.Join(s.behind, ", ")))
	}
	if s.located {
		status.Connections = s.selected
		status.ObservedGeneration = s.policy.Generation
	}
	kit.Write(&status.Conditions, s.policy.Generation, accepted, ready)
}
