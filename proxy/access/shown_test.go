// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"testing"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// Nobody approves what cannot be seen (checklist 37).
func TestShown(t *testing.T) {
	text := func(s string) func() string { return func() string { return s } }
	tests := map[string]struct {
		reason string
		ask    Ask
		want   string
		refuse bool
	}{
		"Plain":      {"a statement without parameters is all there is to see", Ask{}, "", false},
		"Parameters": {"what a $1 stands for is shown", Ask{Operation: record.Operation{Parameters: 1}, ShowParameters: text("$1 = '7'")}, "$1 = '7'", false},
		"TooLarge":   {"parameters that cannot be shown are not held", Ask{Operation: record.Operation{Parameters: 1}, ShowParameters: text("")}, "", true},
		"NoWay":      {"nor are those of a protocol that shows none", Ask{Operation: record.Operation{Parameters: 1}}, "", true},
		"Hidden":     {"what may hold a secret is not shown, so it is not held", Ask{Hidden: true}, "", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, refusal := shown(&test.ask, policy.Decision{})
			if got != test.want || (refusal != nil) != test.refuse {
				t.Errorf("%s: got %q and %v", test.reason, got, refusal)
			}
		})
	}
}
