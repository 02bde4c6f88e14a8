// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/review/wire"
)

// FuzzRead: whatever is posted, a question that is taken is within its bounds, says
// that it is one, and is the same when it is written again.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"apiVersion":"review.doorward.dev/v1alpha1","kind":"SelfAccessReview","spec":{"accesses":[{"action":"select","resource":"public.orders"}],"properties":["unboundedWrite"]}}`,
		`{"apiVersion":"review.doorward.dev/v1alpha1","kind":"SelfRulesReview","spec":{"connection":{"namespace":"data","name":"shop"}}}`,
		`{"apiVersion":"review.doorward.dev/v1alpha1","kind":"SelfAccessReview","spec":{"accesses":null},"status":null}`,
		`{"kind":"SelfAccessReview","Kind":"x","spec":{"accesses":[{"action":"\ud800"}]}}`,
		strings.Repeat(`{"spec":`, 2000), `[]`, `null`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if spec, err := wire.ReadAccess(body); err == nil {
			if len(body) > wire.MaxBody || len(spec.Accesses) == 0 || len(spec.Accesses) > wire.MaxAccesses || len(spec.Properties) > wire.MaxProperties {
				t.Fatalf("taken: %+v", spec)
			}
			for _, a := range spec.Accesses {
				if a.Action == "" || len(a.Action) > wire.MaxWord || len(a.Resource) > wire.MaxResource {
					t.Fatalf("taken: %+v", a)
				}
			}
			again := wire.SelfAccessReview{TypeMeta: wire.TypeMeta{APIVersion: wire.Version, Kind: wire.AccessKind}, Spec: *spec}
			text, err := json.Marshal(again)
			if err != nil {
				t.Fatal(err)
			}
			if len(text) > wire.MaxBody {
				return // escapes may make it longer
			}
			back, err := wire.ReadAccess(text)
			if err != nil || len(spec.Properties)+len(back.Properties) > 0 && !cmp.Equal(back, spec) || !cmp.Equal(back.Accesses, spec.Accesses) {
				t.Fatalf("%s came back as %+v, %v", text, back, err)
			}
			if _, err := wire.ReadRules(body); err == nil {
				t.Fatalf("taken for both kinds: %s", body)
			}
		}
		if spec, err := wire.ReadRules(body); err == nil && (len(body) > wire.MaxBody || len(spec.Connection.Name) > wire.MaxWord) {
			t.Fatalf("taken: %+v", spec)
		}
	})
}
