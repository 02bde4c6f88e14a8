// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// TestRemembered: each text is compiled once, faults too; what was cut off is tried again.
func TestRemembered(t *testing.T) {
	asked := map[string]int{}
	fault := errors.New("line 1")
	check := remembered(func(_ context.Context, text string) ([]string, error) {
		asked[text]++
		if text == "bad" {
			return nil, fault
		}
		return []string{"team"}, nil
	})
	for range 3 {
		if claims, err := check(t.Context(), "good"); err != nil || !slices.Equal(claims, []string{"team"}) {
			t.Errorf("got %v, %v", claims, err)
		}
		if _, err := check(t.Context(), "bad"); !errors.Is(err, fault) {
			t.Errorf("got %v", err)
		}
	}
	if asked["good"] != 1 || asked["bad"] != 1 {
		t.Errorf("compiled %v times", asked)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := check(over, "late"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := check(t.Context(), "late"); err != nil || asked["late"] != 2 {
		t.Errorf("got %v after %d times", err, asked["late"])
	}
	if remembered(nil) != nil {
		t.Error("nothing is asked for")
	}
}
