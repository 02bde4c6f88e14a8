// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestTarget: checklist 23: two forms of one path are answered, as they were written.
func TestTarget(t *testing.T) {
	const path = "/v1/namespaces/shop/auditsessions/a.1/recording"
	for name, c := range map[string]struct {
		reason string
		uri    string
		want   target
		code   int
	}{
		"Whole":   {"what is there up to now", path, target{"shop", "a.1", false}, 0},
		"Follow":  {"and what comes", path + "?follow=true", target{"shop", "a.1", true}, 0},
		"Other":   {"another value", path + "?follow=1", target{}, http.StatusNotFound},
		"Encoded": {"nothing is decoded", path + "?follow=tru%65", target{}, http.StatusNotFound},
		"More":    {"a further parameter", path + "?follow=true&x=y", target{}, http.StatusNotFound},
		"Twice":   {"the same again", path + "?follow=true?follow=true", target{}, http.StatusNotFound},
		"Empty":   {"a query of nothing", path + "?", target{}, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, c.uri, http.NoBody)
			got, f := targetOf(r)
			if got != c.want || (f == nil) != (c.code == 0) || f != nil && f.code != c.code {
				t.Errorf("%s: %+v, %+v", c.reason, got, f)
			}
		})
	}
}
