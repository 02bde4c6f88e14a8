// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// harmless are the keys of policies, by their path without indexes, whose absence makes no
// policy broader, and why.
var harmless = map[string]string{
	"spec.rules.message":    "it is only shown",
	"spec.rules.properties": "the Deny rule matches more",
	"spec.rules.resources":  "more is refused, or needs an approval of exactly what is asked; Allow rules must have it",
	"spec.masks.derived":    "derived values are refused",
	"spec.masks.predicates": "masked fields decide nothing",
	"spec.masks.exempt":     "nobody is exempt",
}

// whole are policies that have every key there is.
func whole(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	when := []any{
		schedule("Europe/Berlin", window("08:30", "18:00", "Monday"))["spec.when"].([]any)[0],
		sources("10.0.0.0/8")["spec.when"].([]any)[0],
	}
	who := subjects(
		subject("User", object{"name": "alice"}), subject("Claim", object{"claim": object{"name": "team", "values": list("data")}}),
		subject("AllOf", object{"allOf": []any{object{"kind": "Agent"}, object{"kind": "OnBehalfOfGroup", "name": "analysts"}, object{"kind": "Claim", "claim": object{"name": "team", "values": list("data")}}}}),
	)["spec.subjects"]
	exempt := []any{subject("Group", object{"name": "fraud"}), subject("AllOf", object{"allOf": []any{object{"kind": "Human"}, object{"kind": "Group", "name": "fraud"}}})}
	connections := []any{object{"name": "orders-db"}, object{"matchLabels": object{"tier": "gold"}}}
	common := edits{"spec.when": when, "spec.subjects": who, "spec.connections": connections, "spec.masks.0.exempt": exempt}
	module := func(rego object) edits {
		return edits{"spec.rules": []any{}, "spec.masks": []any{}, "spec.limits": []any{}, "spec.targetRole": "", "spec.rego": rego}
	}
	ask := object{"name": "ask", "effect": "RequireApproval", "actions": list("update"), "approval": object{
		"approvers": []any{object{"kind": "Group", "name": "leads"}}, "minimum": int64(1), "timeoutSeconds": int64(60),
	}}
	cluster := maps.Clone(common)
	cluster["spec.rules"] = []any{ask, sampleField("spec.rules.3")}
	cluster["spec.limits"] = []any{object{"type": "OperationsPerWindow", "maximum": int64(1), "windowSeconds": int64(60)}}
	return map[string]*unstructured.Unstructured{
		"accesspolicy":        edited(sample("accesspolicy.yaml"), common),
		"clusteraccesspolicy": edited(sample("clusteraccesspolicy.yaml"), cluster),
		"inline":              edited(sample("accesspolicy.yaml"), module(object{"source": "Inline", "inline": "package doorward.policy"})),
		"configmap":           edited(sample("accesspolicy.yaml"), module(object{"source": "ConfigMap", "configMap": object{"name": "modules", "key": "hours.rego"}})),
	}
}

// keys are the paths of all keys of a spec, but for those that are the user's own.
func keys(container any, path string) []string {
	var all []string
	switch c := container.(type) {
	case map[string]any:
		for key, value := range c {
			at := path + "." + key
			all = append(all, at)
			if key != "matchLabels" {
				all = append(all, keys(value, at)...)
			}
		}
	case []any:
		for i, value := range c {
			all = append(all, keys(value, path+"."+strconv.Itoa(i))...)
		}
	}
	slices.Sort(all)
	return all
}

// shape is a path without indexes.
func shape(path string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(path, "."), func(part string) bool {
		_, err := strconv.Atoi(part)
		return err == nil
	}), ".")
}

// TestTypoAnywhere: checklist 40: whatever key of a policy is misspelt is an error for whoever
// validates strictly; from any other client it is refused too, or makes the policy no broader.
func TestTypoAnywhere(t *testing.T) {
	used := map[string]bool{}
	for name, right := range whole(t) {
		t.Run(name, func(t *testing.T) {
			if err := admin.Create(t.Context(), right.DeepCopy(), client.DryRunAll, client.FieldValidation("Strict")); err != nil {
				t.Fatalf("it is right: %v", err)
			}
			for _, path := range keys(field(right.Object, "spec"), "spec") {
				wrong := right.DeepCopy()
				value := field(wrong.Object, path)
				set(wrong, path, absent{})
				set(wrong, path+"s", value)
				err := admin.Create(t.Context(), wrong.DeepCopy(), client.DryRunAll, client.FieldValidation("Strict"))
				expect(t, path+": strict validation", err, "unknown field")
				why, fine := harmless[shape(path)]
				switch err := admin.Create(t.Context(), wrong, client.DryRunAll, client.FieldValidation("Ignore")); {
				case err == nil && !fine:
					t.Errorf("%s: it is dropped and the rest accepted", path)
				case err != nil && !fine:
				case err == nil:
					used[shape(path)] = true
				default:
					t.Logf("%s is refused, though %s: %v", path, why, err)
				}
			}
		})
	}
	for path, why := range harmless {
		if !used[path] {
			t.Errorf("%s is refused everywhere, though %s: take it out of the list", path, why)
		}
	}
}
