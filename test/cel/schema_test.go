// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// schemaCase is one change of a sample and the words that its refusal must have; none means
// that it is accepted.
type schemaCase struct {
	reason  string
	changes edits
	want    string
}

// tryCreate asks the API server about each case, as a dry run by an admin.
func tryCreate(t *testing.T, file string, cases map[string]schemaCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := edited(sample(file), tc.changes)
			expect(t, tc.reason, admin.Create(t.Context(), object, client.DryRunAll), tc.want)
		})
	}
}
