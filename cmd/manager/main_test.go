// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestList(t *testing.T) {
	for text, tc := range map[string]struct {
		reason string
		want   []string
		fails  bool
	}{
		"a,b": {reason: "commas separate", want: []string{"a", "b"}},
		"a":   {reason: "one is a list", want: []string{"a"}},
		"":    {reason: "no namespaces would be all namespaces", fails: true},
		"a,":  {reason: "an element was left empty", fails: true},
	} {
		var got []string
		err := list(&got)(text)
		if diff := cmp.Diff(tc.want, got); diff != "" || (err != nil) != tc.fails {
			t.Errorf("%q: %s: error %v, -want +got:\n%s", text, tc.reason, err, diff)
		}
	}
}
