// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"strings"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// outcome is what the policies of then made of an operation.
type outcome int

const (
	// otherwise was refused for something that no policy has a say in.
	otherwise outcome = iota
	allowed
	held
	denied
	// unmaskable was refused because its answer could not be masked.
	unmaskable
)

// notAdmitted is in the reason of older records of sessions that policies refused: these
// have no reasonCode. Of operations, their reason is the word.
const notAdmitted = " may not use connection "

// reasonOf is why an operation was refused, as a word.
func reasonOf(d *record.Document) record.Reason {
	if d.ReasonCode != "" {
		return d.ReasonCode
	}
	return record.Reason(d.Reason)
}

// was reads out of a record what the policies of then decided. Where they did not, word
// is the reason of the refusal. Nothing is known of a record without a decision.
func was(d *record.Document) (what outcome, word string, known bool) {
	if d.Decision == nil {
		return otherwise, "", false
	}
	switch policy.Effect(d.Decision.Effect) {
	case policy.Allow:
		return allowed, "", true
	case policy.RequireApproval:
		return held, "", true
	case policy.Deny:
	default:
		return otherwise, "", false
	}
	switch reason := reasonOf(d); reason {
	case record.ReasonNotAllowed:
		if len(d.Decision.Rules) > 0 {
			return held, "", true // by rules that ask for an approval, and it could not be asked for
		}
		return denied, "", true
	case record.ReasonDenied:
		return denied, "", true
	case record.ReasonMasked:
		return unmaskable, "", true
	case record.ReasonRequesterNotMapped, record.ReasonApprovalRequired, record.ReasonApprovalDenied, record.ReasonApprovalTimeout, record.ReasonApprovalVoid:
		return held, "", true
	case "":
		return otherwise, "", false
	default:
		return otherwise, string(reason), true
	}
}

// turnedAway says whether it was policies that refused a session; else word is why it was
// refused.
func turnedAway(d *record.Document) (byPolicies bool, word string) {
	switch d.ReasonCode {
	case record.ReasonNotAllowed, record.ReasonDenied, record.ReasonTargetRole:
		return true, ""
	case "":
		return strings.Contains(d.Reason, notAdmitted), string(record.SessionRefused)
	default:
		return false, string(d.ReasonCode)
	}
}
