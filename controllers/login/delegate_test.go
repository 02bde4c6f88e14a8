// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
)

func TestDelegation(t *testing.T) {
	r := serve(t, nil)
	agent := robot(t, "helper", map[string]any{"iat": time.Now().Add(-30 * time.Minute).Unix()})
	acting := func(subject string) url.Values {
		return exchanging(subject, "actor_token", agent, "actor_token_type", jwtType)
	}
	got := r.token(acting(person(t, "dave", map[string]any{"act": map[string]any{"sub": "first", "iss": "https://first.example"}})))
	if got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	s := proven(t, got.text("access_token"))
	want := fmt.Sprintf(`{"act":{"iss":"https://first.example","sub":"first"},"iss":%q,"sub":"id-of-helper"}`, robots.URL())
	if string(s.Claims["act"]) != want {
		t.Errorf("the chain is %s, want %s", s.Claims["act"], want)
	}
	if ends := time.Unix(s.Expiry, 0); time.Until(ends) > 31*time.Minute {
		t.Errorf("it ends at %s: later than the actor's own proof", ends)
	}
	spec := credential(t, s.ID).Spec
	if spec.Owner.Username != "dave" || spec.Actor != (v1alpha1.CredentialActor{Issuer: robots.URL(), Subject: "id-of-helper"}) {
		t.Errorf("the object says %+v", spec)
	}
	cases := map[string]struct {
		reason, subject string
		want            string
	}{
		"MayAct":       {"the subject's word on who may act for it", person(t, "dave", map[string]any{"may_act": map[string]any{"sub": "id-of-other", "iss": robots.URL()}}), "may_act"},
		"MayActOfOwn":  {"without an issuer it is the subject's own", person(t, "dave", map[string]any{"may_act": map[string]any{"sub": "id-of-helper"}}), "may_act"},
		"MayActNobody": {"an issuer that is no text names nobody", person(t, "dave", map[string]any{"may_act": map[string]any{"sub": "id-of-helper", "iss": 1}}), "may_act"},
		"Long":         {"a chain is bounded", person(t, "dave", map[string]any{"act": chain(8)}), "more than 8 actors"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := r.token(acting(tc.subject))
			if got.text("error") != "invalid_grant" || !strings.Contains(got.text("error_description"), tc.want) {
				t.Errorf("%s: got %d %s", tc.reason, got.status, got.body)
			}
		})
	}
	if got := r.token(acting(person(t, "dave", map[string]any{"may_act": map[string]any{"sub": "id-of-helper", "iss": robots.URL()}}))); got.status != 200 {
		t.Errorf("whom the subject names may act: %d %s", got.status, got.body)
	}
	if got := r.token(acting(person(t, "dave", map[string]any{"kind": "Human"}))); got.status != 200 {
		t.Errorf("a person may be acted for, whose kind is then Agent: %d %s", got.status, got.body)
	}
	colleague := person(t, "colleague", nil)
	if got := r.token(exchanging(person(t, "dave", map[string]any{"may_act": map[string]any{"sub": "id-of-colleague"}}), "actor_token", colleague, "actor_token_type", jwtType)); got.status != 200 {
		t.Errorf("one of the subject's own issuer may act: %d %s", got.status, got.body)
	}
	own := r.token(exchanging(agent)).text("access_token")
	got = r.token(exchanging(person(t, "dave", nil), "actor_token", own, "actor_token_type", jwtType))
	if got.text("error") != "invalid_grant" || !strings.Contains(got.text("error_description"), "a gateway token") {
		t.Errorf("whose revocation nothing would follow: %d %s", got.status, got.body)
	}
	if all := r.logs.all(); !strings.Contains(all, `"actorSubject"="id-of-helper"`) || !strings.Contains(all, `"subject"="id-of-dave"`) {
		t.Errorf("the log does not say who acts for whom:\n%s", all)
	}
}

func chain(n int) map[string]any {
	act := map[string]any{"sub": "last"}
	for range n - 1 {
		act = map[string]any{"sub": "next", "act": act}
	}
	return act
}
