// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/rego"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestWayToTheProxy: what a policy says in YAML is what the proxy's engine says
// to the caller, after it was compiled, sealed and opened.
func TestWayToTheProxy(t *testing.T) {
	world, _ := readWorld(t, "testdata/duties.in.yaml")
	compiled := Connection(&world.Connections[0], world)
	seed := make([]byte, ed25519.SeedSize)
	key := ed25519.NewKeyFromSeed(seed)
	data, err := snapshot.Seal(*compiled.Snapshot, key)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := snapshot.Open(data, key.Public().(ed25519.PublicKey)) //nolint:forcetypeassert // it is one
	if err != nil {
		t.Fatal(err)
	}
	engine, err := rego.NewEngine(t.Context(), opened.Policies, policy.About{Namespace: opened.Connection.Namespace, Name: opened.Connection.Name})
	if err != nil {
		t.Fatal(err)
	}
	standing := func(caller identity.Principal) policy.Standing {
		s, err := engine.Standing(t.Context(), caller, policy.Circumstances{Time: time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	analyst := standing(identity.Principal{UserName: "alice", Groups: []string{"analysts"}, Kind: identity.Human})
	other := standing(identity.Principal{UserName: "bob", Kind: identity.Human})

	limits := []policy.Limits{{
		Policy: policy.RuleRef{Policy: "duties", UID: "uid-duties", Generation: 1}, RowsPerStatement: 50,
		Windows: []policy.Window{{Seconds: 60, Bytes: 1000000}, {Seconds: 3600, Rows: 500, Bytes: 9000000}},
	}}
	if diff := cmp.Diff(limits, analyst.Limits()); diff != "" {
		t.Errorf("limits: -want +got:\n%s", diff)
	}
	if role, err := analyst.TargetRole(); err != nil || role != "reader" {
		t.Errorf("TargetRole = %q, %v", role, err)
	}
	if role, err := other.TargetRole(); err != nil || role != "" || len(other.Limits()) != 0 || len(other.Masks()) != 0 {
		t.Error("somebody else is bound by the policy")
	}

	rules := mask.Compile(analyst.Masks(), opened.MaskKey.Bytes())
	for field, want := range map[string]mask.Field{
		"public.customers.tax_id": {Method: policy.Method{Type: policy.Hash}, Derived: true, Predicates: true},
		"public.customers.phone":  {Method: policy.Method{Type: policy.Digits}},
	} {
		if got, masked := rules.Field(field); !masked || got != want {
			t.Errorf("%s: %+v, %t, want %+v", field, got, masked, want)
		}
	}
	if rules.Detect() == nil {
		t.Error("nothing is looked for")
	}
	hashed := func(key mask.Key) string {
		out, _ := mask.Compile(analyst.Masks(), key).Append(nil, policy.Method{Type: policy.Hash}, mask.Text, false, []byte("DE123456789"))
		return string(out)
	}
	want, err := maskKey(world.Connections[0].UID)
	if err != nil {
		t.Fatal(err)
	}
	if hashed(opened.MaskKey.Bytes()) != hashed(want.Bytes()) || hashed(opened.MaskKey.Bytes()) == hashed(mask.Key{}) {
		t.Error("values are not hashed with the Connection's key")
	}
}
