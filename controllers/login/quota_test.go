// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestQuota: nobody fills the API server with credentials, also by many requests at once,
// and nobody fills the snapshots with what is revoked.
func TestQuota(t *testing.T) {
	r := serve(t, nil)
	second := serve(t, r)
	token := person(t, "quinn", nil)
	var all sync.WaitGroup
	refusals := make(chan string, 44)
	for i := range cap(refusals) {
		all.Go(func() {
			at := r
			if i%2 == 1 {
				at = second
			}
			if got := at.token(exchanging(token)); got.status != 200 {
				refusals <- got.body
			}
		})
	}
	all.Wait()
	if found := credentialsOf(t, "id-of-quinn"); len(found) > 32 || len(found) == 0 {
		t.Errorf("%d were issued, want at most 32", len(found))
	}
	for len(refusals) > 0 {
		if body := <-refusals; !strings.Contains(body, "kubectl doorward credentials revoke") {
			t.Fatalf("the refusal names no remedy: %s", body)
		}
	}
	for range 32 {
		r.token(exchanging(token))
	}
	found := credentialsOf(t, "id-of-quinn")
	if len(found) != 32 {
		t.Errorf("%d were issued, want 32", len(found))
	}
	refused := r.token(exchanging(token)).text("error_description")
	named := 0
	for i := range found {
		if strings.Contains(refused, found[i].Name) {
			named++
		}
	}
	if named != 8 || len(refused) > 500 {
		t.Errorf("owners may not list, and are told %d names: %s", named, refused)
	}
	for i := range found {
		found[i].Spec.Revoke = &v1alpha1.Revocation{Reason: "again and again"}
		if err := manager.Update(t.Context(), &found[i]); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.token(exchanging(token)); !strings.Contains(got.text("error_description"), "were revoked") {
		t.Errorf("revoked ones are kept and count: %d %s", got.status, got.body)
	}
}
