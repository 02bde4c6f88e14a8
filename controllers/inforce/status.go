// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package inforce

import (
	"fmt"
	"strings"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

// maxNamed is how many Connections a message names.
const maxNamed = 8

// Verdicts are the conditions Accepted and Ready of a policy. runErr is why not all was
// found out; accepted counts only where the policy was compiled. behind are the
// Connections whose snapshot lacks this generation of it.
func Verdicts(accepted kit.Verdict, compiled bool, runErr error, behind []string) (is, ready kit.Verdict) {
	if !compiled {
		accepted = kit.Unknown(v1alpha1.ConditionAccepted, v1alpha1.ReasonProgressing, runErr.Error())
	}
	ready = kit.True(v1alpha1.ConditionReady, v1alpha1.ReasonReady, "")
	switch {
	case !accepted.OK():
		ready = kit.Summarise(v1alpha1.ConditionReady, v1alpha1.ReasonReady, accepted)
	case runErr != nil:
		ready = kit.False(v1alpha1.ConditionReady, v1alpha1.ReasonNotReady, runErr.Error())
	case len(behind) > 0:
		ready = kit.False(v1alpha1.ConditionReady, v1alpha1.ReasonProgressing,
			fmt.Sprintf("not yet in the snapshot of %s: see whether the Connection is Accepted", few(behind)))
	}
	return accepted, ready
}

// few names the first of many. How many more there are is left out: it would be another
// message, and a write, for each that comes.
func few(names []string) string {
	if len(names) > maxNamed {
		return strings.Join(names[:maxNamed], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}
