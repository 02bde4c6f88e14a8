// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package accesspolicy

import (
	"github.com/doorward/doorward/controllers/inforce"
	"github.com/doorward/doorward/controllers/kit"
)

// writeStatus writes every condition from what the steps observed.
func writeStatus(s *scope, runErr error) {
	status := &s.policy.Status
	accepted, ready := inforce.Verdicts(s.result.Accepted, s.compiled, runErr, s.behind)
	if s.located {
		status.Connections = s.selected
		status.ObservedGeneration = s.policy.Generation
	}
	kit.Write(&status.Conditions, s.policy.Generation, accepted, ready)
}
