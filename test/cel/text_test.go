// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// longText returns n letters.
func longText(n int) string { return strings.Repeat("a", n) }

// diff reports a difference.
func diff(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: -want +got:\n%s", what, d)
	}
}

// upper returns n upper-case hex digits.
func upper(n int) string { return strings.Repeat("A", n) }
