// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
)

var update = flag.Bool("update", false, "write the golden files anew")

// wordsProtocol is a protocol with a small vocabulary.
type wordsProtocol struct{ name, field, content, row, role string }

func (p wordsProtocol) Name() string { return p.name }

func (p wordsProtocol) Vocabulary() policy.Vocabulary {
	if p.name == "shell" { // words that the others do not have, and few of theirs
		return policy.Vocabulary{Actions: []policy.Term{{Name: "exec"}, {Name: "unknown"}}, Properties: []policy.Term{{Name: "terminal"}}, Content: p.content}
	}
	return policy.Vocabulary{
		Actions:    []policy.Term{{Name: "select"}, {Name: "insert"}, {Name: "update"}, {Name: "delete"}, {Name: "unknown"}},
		Properties: []policy.Term{{Name: "unboundedWrite"}, {Name: "multiStatement"}},
		Field:      p.field, Content: p.content, Row: p.row, Role: p.role,
	}
}

func (wordsProtocol) ValidateOptions(options json.RawMessage) error {
	if options == nil {
		return errors.New("key \"databases\" is needed")
	}
	var into struct {
		Databases []string `json:"databases"`
	}
	decoder := json.NewDecoder(bytes.NewReader(options))
	decoder.DisallowUnknownFields()
	return decoder.Decode(&into)
}

func (wordsProtocol) DefaultPort() int32 { return 5432 }

func testProtocols() Protocols {
	return NewProtocols(wordsProtocol{"postgres", "schema.relation.column", "values", "a row", "a role"}, wordsProtocol{name: "plain"}, wordsProtocol{name: "shell", content: "what is said"})
}

// TestGolden compiles every testdata/*.in.yaml and compares with *.out.yaml.
// checklist 40: a typo is a verdict that names it, and closes; checklist 41: a
// reference never leaves the namespace.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no golden input: %v", err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(filepath.Base(input), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			world, secrets := readWorld(t, input)
			before, _ := readWorld(t, input)
			got, err := yaml.Marshal(compileAll(world, secrets))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, world, cmpopts.IgnoreFields(World{}, "Protocols", "MaskKey", "CheckModule")); diff != "" {
				t.Errorf("compiling changed what caches share:\n%s", diff)
			}
			if bytes.Contains(got, []byte("canary")) {
				t.Error("checklist 49: what is compiled shows the key of masks")
			}
			golden := filepath.Join("testdata", name+".out.yaml")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v: run go test -update", err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("-want +got, go test -update writes it anew:\n%s", diff)
			}
		})
	}
}

// results is the golden output.
type results struct {
	Connections       map[string]ConnectionResult `json:"connections,omitempty"`
	Policies          map[string]PolicyResult     `json:"policies,omitempty"`
	ClusterPolicies   map[string]PolicyResult     `json:"clusterPolicies,omitempty"`
	IdentityProviders map[string]kit.Verdict      `json:"identityProviders,omitempty"`
	LogSinks          map[string]kit.Verdict      `json:"logSinks,omitempty"`
	Durable           map[string]kit.Verdict      `json:"durable,omitempty"`
}

func compileAll(world World, secrets map[string]SinkSecret) results {
	out := results{Connections: map[string]ConnectionResult{}, Policies: map[string]PolicyResult{}, ClusterPolicies: map[string]PolicyResult{}, Durable: map[string]kit.Verdict{}}
	for i := range world.Connections {
		out.Connections[world.Connections[i].Name] = Connection(&world.Connections[i], world)
	}
	for i := range world.Policies {
		out.Policies[world.Policies[i].Name] = Policy(&world.Policies[i], world)
	}
	for i := range world.ClusterPolicies {
		out.ClusterPolicies[world.ClusterPolicies[i].Name] = ClusterPolicy(&world.ClusterPolicies[i], world)
	}
	_, out.IdentityProviders = Providers(world.Providers)
	_, out.LogSinks = Sinks(world.Sinks, secrets)
	for i := range world.Connections {
		c := &world.Connections[i]
		out.Durable[c.Name] = Durable(c, world.Sinks, out.LogSinks)
	}
	return out
}

func readWorld(t *testing.T, file string) (World, map[string]SinkSecret) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	world, secrets := World{Protocols: testProtocols(), MaskKey: maskKey, Namespaces: map[string]map[string]string{}, CheckModule: checkModule}, map[string]SinkSecret{}
	for document := range strings.SplitSeq(string(data), "\n---\n") {
		var meta struct {
			Kind string `json:"kind"`
		}
		if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
			t.Fatal(err)
		}
		if err := readObject(&world, secrets, meta.Kind, []byte(document)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return world, secrets
}

// checkModule stands for the compiler of modules.
func checkModule(text string) ([]string, error) {
	if !strings.HasPrefix(text, "package doorward.policy\n") {
		return nil, errors.New("want package doorward.policy: line 1")
	}
	var claims []string
	for _, found := range regexp.MustCompile(`input\.caller\.claims\.(\w+)`).FindAllStringSubmatch(text, -1) {
		claims = append(claims, found[1])
	}
	return claims, nil
}

// maskKey derives a key that is easily found in what must not hold it.
func maskKey(uid types.UID) (snapshot.MaskKey, error) {
	return snapshot.NewMaskKey([]byte(fmt.Sprintf("canary%26s", uid)))
}

func readObject(world *World, secrets map[string]SinkSecret, kind string, data []byte) error {
	switch kind {
	case "Connection":
		return read(&world.Connections, data)
	case "AccessPolicy":
		return read(&world.Policies, data)
	case "ClusterAccessPolicy":
		return read(&world.ClusterPolicies, data)
	case "Namespace":
		var namespaces []corev1.Namespace
		if err := read(&namespaces, data); err != nil {
			return err
		}
		world.Namespaces[namespaces[0].Name] = namespaces[0].Labels
		return nil
	case "IdentityProvider":
		return read(&world.Providers, data)
	case "LogSink":
		return read(&world.Sinks, data)
	case "Secret":
		var secret corev1.Secret
		if err := yaml.UnmarshalStrict(data, &secret); err != nil {
			return err
		}
		secrets[secret.Name] = SinkSecret{Type: secret.Type, Keys: slices.Sorted(maps.Keys(secret.StringData))}
		return nil
	case "ConfigMap":
		return read(&world.ConfigMaps, data)
	default:
		return fmt.Errorf("unknown kind: %q", kind)
	}
}

func read[T v1alpha1.Connection | v1alpha1.AccessPolicy | v1alpha1.ClusterAccessPolicy | corev1.Namespace | v1alpha1.IdentityProvider | v1alpha1.LogSink | corev1.ConfigMap](list *[]T, data []byte) error {
	var object T
	if err := yaml.UnmarshalStrict(data, &object); err != nil {
		return err
	}
	*list = append(*list, object)
	return nil
}

func TestClosedLetsNobodyThrough(t *testing.T) {
	previous := snapshot.Snapshot{Policies: policy.Set{Policies: []policy.Policy{
		{Name: "a", Subjects: []policy.Subject{{Kind: "User", Name: "alice"}}, Rules: []policy.Rule{{Name: "r", Effect: policy.Allow, Actions: []string{"*"}, Resources: []string{"*"}}}},
	}}}
	closed := Closed(previous, "because")
	for _, p := range closed.Policies.Policies {
		for _, r := range p.Rules {
			if r.Effect != policy.Deny {
				t.Errorf("rule %q has effect %s", r.Name, r.Effect)
			}
		}
	}
	if len(closed.Policies.Policies) != 1 || len(closed.Policies.Policies[0].Subjects) != 1 {
		t.Errorf("the refusal does not reach those who were allowed: %+v", closed.Policies)
	}
}

func TestNarrow(t *testing.T) {
	allow := policy.Policy{Name: "allow", UID: "1", Generation: 1, Rules: []policy.Rule{{Name: "r", Effect: policy.Allow, Actions: []string{"*"}}}}
	mixed := policy.Policy{Name: "mixed", UID: "2", Generation: 1, Rules: []policy.Rule{
		{Name: "r", Effect: policy.Allow, Actions: []string{"*"}}, {Name: "a", Effect: policy.RequireApproval, Actions: []string{"update"}, Approval: &policy.ApprovalTerms{Minimum: 1}},
	}}
	deny := policy.Policy{Name: "deny", UID: "3", Generation: 1, Rules: []policy.Rule{{Name: "d", Effect: policy.Deny, Actions: []string{"delete"}}}}
	of := func(policies ...policy.Policy) snapshot.Snapshot {
		return snapshot.Snapshot{Policies: policy.Set{Policies: policies}, IdentityProviders: []snapshot.IdentityProvider{{Name: "a"}}}
	}
	closed := []policy.Policy{denyAll("doorward-closed", "", 0, "")}
	module := policy.Policy{Name: "module", UID: "6", Generation: 1, Rego: "package doorward.policy"}
	moduleAudit := module
	moduleAudit.Audit = true
	denyAudit := deny
	denyAudit.Audit = true
	mixedRestricted := mixed
	mixedRestricted.Rules = []policy.Rule{{Name: "a", Effect: policy.Deny, Actions: []string{"update"}}}
	bounded := policy.Policy{Name: "bounded", UID: "4", Generation: 1, Limits: &policy.Limits{RowsPerStatement: 5}}
	roled := policy.Policy{Name: "roled", UID: "5", Generation: 1, TargetRole: "reader"}
	tests := map[string]struct {
		reason   string
		previous snapshot.Snapshot
		next     snapshot.Snapshot
		want     []policy.Policy
	}{
		"Unchanged":    {"Nothing was revoked.", of(allow, deny), of(allow, deny), []policy.Policy{allow, deny}},
		"Removed":      {"What only allowed goes.", of(allow, deny), of(deny), []policy.Policy{deny}},
		"RemovedLimit": {"A limit stays.", of(allow, bounded), of(allow), []policy.Policy{allow, bounded}},
		"RemovedRole":  {"A role stays.", of(allow, roled), of(allow), []policy.Policy{allow, roled}},
		"NewLimit":     {"A new limit cannot be taken over, so the Connection closes.", of(allow), of(allow, bounded), closed},
		"NewRole":      {"Nor can a role.", of(allow), of(allow, roled), closed},
		"RemovedMixed": {"What restricted stays, and what could be approved is refused.", of(mixed), of(), []policy.Policy{mixedRestricted}},
		"NewAllow":     {"What is new does not fit and is not allowed.", of(deny), of(allow, deny), []policy.Policy{deny}},
		"NewDeny": {
			"A new restriction cannot be taken over, so the Connection closes.", of(allow), of(allow, deny),
			closed,
		},
		"Module":        {"What a module lets through is not known.", of(allow, module), of(allow), closed},
		"ModuleStays":   {"It is the same module.", of(allow, module), of(module), []policy.Policy{module}},
		"ModuleAudit":   {"What decides nothing goes.", of(allow, moduleAudit), of(allow), []policy.Policy{allow}},
		"AuditEnforced": {"It restricts from now on.", of(allow, denyAudit), of(allow, deny), closed},
		"EnforcedAudit": {"It stays until there is room.", of(allow, deny), of(allow, denyAudit), []policy.Policy{allow, deny}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Narrow(tc.previous, tc.next).Policies.Policies
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(policy.Rule{}, "Message")); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
	lost := of(allow)
	lost.IdentityProviders = nil
	if got := Narrow(of(allow), lost); len(got.IdentityProviders) != 0 {
		t.Errorf("a provider that was removed is still accepted: %+v", got.IdentityProviders)
	}
}

// TestMaskKeyCounts: another key is another snapshot, although neither shows in
// what is compared as text.
func TestMaskKeyCounts(t *testing.T) {
	with := func(uid types.UID) snapshot.Snapshot {
		key, err := maskKey(uid)
		if err != nil {
			t.Fatal(err)
		}
		return snapshot.Snapshot{MaskKey: key}
	}
	sum := func(s snapshot.Snapshot) Sum {
		sum, err := Digest(s)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	if first, again := sum(with("a")), sum(with("a")); first != again || sum(with("a")) == sum(with("b")) || sum(with("a")) == sum(snapshot.Snapshot{}) {
		t.Error("a changed key is not published")
	}
	allow := policy.Policy{Name: "allow", Rules: []policy.Rule{{Name: "r", Effect: policy.Allow, Actions: []string{"*"}}}}
	closes := func(previous, next snapshot.Snapshot) bool {
		previous.Policies.Policies, next.Policies.Policies = []policy.Policy{allow}, []policy.Policy{allow}
		return Narrow(previous, next).Policies.Policies[0].Name == "doorward-closed"
	}
	if closes(with("a"), with("a")) || closes(with("a"), snapshot.Snapshot{}) || !closes(with("a"), with("b")) {
		t.Error("what cannot take another key over is not closed")
	}
}
