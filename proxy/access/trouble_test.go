// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"testing"
)

// Operators learn what the caller is not told.
func TestTrouble(t *testing.T) {
	cause := errors.New("connection refused by 10.1.2.3")
	tests := map[string]struct {
		reason string
		err    error
		told   bool
	}{
		"Unavailable":  {"a part of the proxy failed", unavailable("the target cannot be reached", "", cause), true},
		"ApprovalVoid": {"the API server did not take the use", &Refusal{Reason: ReasonApprovalVoid, cause: cause}, true},
		"Denied":       {"a policy could not decide, which is its author's doing", &Refusal{Reason: ReasonDenied, cause: cause}, true},
		"DeniedByRule": {"a refusal by policy is the caller's doing, and on record", &Refusal{Reason: ReasonDenied}, false},
		"NotAllowed":   {"so is one for want of a policy", &Refusal{Reason: ReasonNotAllowed, cause: cause}, false},
		"NoCause":      {"there is nothing to add to what the caller was told", unavailable("no configuration yet", "", nil), false},
		"Nil":          {"nothing was refused", nil, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got error
			gate := &Gate{config: Config{Trouble: func(_ string, err error) { got = err }}}
			gate.tell(test.err)
			if told := errors.Is(got, cause); told != test.told {
				t.Errorf("%s: told %v, want %v", test.reason, told, test.told)
			}
		})
	}
}
