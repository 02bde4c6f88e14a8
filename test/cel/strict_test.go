// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// misspelt is one field of the sample AccessPolicy under another key.
type misspelt struct {
	path, right, wrong string
	// harmless says why the policy without the field is no broader; empty where the API
	// server refuses it from every client.
	harmless string
}

// misspellings holds every field that narrows what a policy grants, and some that do not.
var misspellings = map[string]misspelt{
	"Subjects":         {path: "spec", right: "subjects", wrong: "subject"},
	"SubjectKind":      {path: "spec.subjects.0", right: "kind", wrong: "knd"},
	"SubjectName":      {path: "spec.subjects.0", right: "name", wrong: "user"},
	"IdentityProvider": {path: "spec.subjects.0", right: "identityProvider", wrong: "identityProvder"},
	"Connections":      {path: "spec", right: "connections", wrong: "connection"},
	"ConnectionName":   {path: "spec.connections.0", right: "name", wrong: "nmae"}, //nolint:misspell // That is the point.
	"Rules":            {path: "spec", right: "rules", wrong: "rule"},
	"Masks":            {path: "spec", right: "masks", wrong: "mask"},
	"Limits":           {path: "spec", right: "limits", wrong: "limit"},
	"TargetRole":       {path: "spec", right: "targetRole", wrong: "targetrole"},
	"LimitType":        {path: "spec.limits.0", right: "type", wrong: "typ"},
	"LimitMaximum":     {path: "spec.limits.0", right: "maximum", wrong: "max"},
	"LimitWindow":      {path: "spec.limits.1", right: "windowSeconds", wrong: "window"},
	"MaskDetect":       {path: "spec.masks.3", right: "detect", wrong: "detectors"},
	"MaskDerived":      {path: "spec.masks.2", right: "derived", wrong: "deriv", harmless: "derived values are refused"},
	"MaskPredicates":   {path: "spec.masks.2", right: "predicates", wrong: "predicate", harmless: "masked fields decide nothing"},
	"Effect":           {path: "spec.rules.1", right: "effect", wrong: "efect"},
	"Actions":          {path: "spec.rules.1", right: "actions", wrong: "action"},
	"Resources":        {path: "spec.rules.1", right: "resources", wrong: "resource"},
	"Approval":         {path: "spec.rules.2", right: "approval", wrong: "aproval"}, //nolint:misspell // That is the point.
	"Approvers":        {path: "spec.rules.2.approval", right: "approvers", wrong: "approver"},
	"Minimum":          {path: "spec.rules.2.approval", right: "minimum", wrong: "minimun"},
	"Timeout":          {path: "spec.rules.2.approval", right: "timeoutSeconds", wrong: "timeout"},
	"MaskFields":       {path: "spec.masks.0", right: "fields", wrong: "field"},
	"MaskMethod":       {path: "spec.masks.0", right: "method", wrong: "metod"},
	"MaskType":         {path: "spec.masks.0.method", right: "type", wrong: "tipe"},
	"KeepLast":         {path: "spec.masks.1.method", right: "keepLast", wrong: "keeplast"},
	"DenyProperties":   {path: "spec.rules.3", right: "properties", wrong: "property", harmless: "the Deny rule matches more"},
	"Message":          {path: "spec.rules.3", right: "message", wrong: "mesage", harmless: "it is only shown"},
}

// wrong returns the sample with the field under the other key.
func (m misspelt) wrongly() *unstructured.Unstructured {
	object := sample("accesspolicy.yaml")
	value := field(object.Object, m.path+"."+m.right)
	set(object, m.path+"."+m.right, absent{})
	set(object, m.path+"."+m.wrong, value)
	return object
}

// kubectl runs a verb on one object, as its user would.
func kubectl(t *testing.T, object *unstructured.Unstructured, args ...string) error {
	t.Helper()
	data, err := yaml.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "object.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = env.Kubectl(t.Context(), env.Direct, append(args, "--filename", path)...)
	return err
}

// checklist 40: a key that the API does not know is an error for whoever validates strictly,
// as kubectl does, client-side and server-side.
func TestUnknownFieldIsRefused(t *testing.T) {
	extra := edited(sample("accesspolicy.yaml"), edits{"spec.allowedUser": "mallory"})
	expect(t, "kubectl create", kubectl(t, extra, "create", "--dry-run=server"), `unknown field "spec.allowedUser"`)
	expect(t, "kubectl apply", kubectl(t, extra, "apply", "--dry-run=server"), `unknown field "spec.allowedUser"`)
	expect(t, "server-side apply", kubectl(t, extra, "apply", "--server-side", "--dry-run=server"), "field not declared in schema")
	nested := edited(sample("accesspolicy.yaml"), edits{"spec.rules.1.allowedUser": "mallory"})
	expect(t, "in a list", kubectl(t, nested, "create", "--dry-run=server"), `unknown field "spec.rules[1].allowedUser"`)

	for name, m := range misspellings {
		t.Run(name, func(t *testing.T) {
			err := admin.Create(t.Context(), m.wrongly(), client.DryRunAll, client.FieldValidation("Strict"))
			expect(t, "strict validation", err, "unknown field")
		})
	}
	for _, file := range []string{"connection.yaml", "identityprovider.yaml", "logsink.yaml", "approvalrequest.yaml", "auditsession.yaml"} {
		t.Run(file, func(t *testing.T) {
			err := admin.Create(t.Context(), edited(sample(file), edits{"spec.allowedUser": "mallory"}), client.DryRunAll, client.FieldValidation("Strict"))
			expect(t, "strict validation", err, "unknown field")
		})
	}
}

// checklist 40: a client that does not validate strictly has unknown keys dropped; what is
// left is refused, or grants no more than what was meant.
func TestUnknownFieldNeverBroadens(t *testing.T) {
	extra := edited(sample("accesspolicy.yaml"), edits{"spec.allowedUser": "mallory"})
	if err := admin.Create(t.Context(), extra, client.DryRunAll, client.FieldValidation("Ignore")); err != nil {
		t.Fatal(err)
	}
	diff(t, "the unknown key changes nothing", field(sample("accesspolicy.yaml").Object, "spec"), field(extra.Object, "spec"))

	for name, m := range misspellings {
		t.Run(name, func(t *testing.T) {
			err := admin.Create(t.Context(), m.wrongly(), client.DryRunAll, client.FieldValidation("Ignore"))
			switch {
			case m.harmless == "" && err == nil:
				t.Errorf("%s.%s is dropped and the rest accepted", m.path, m.wrong)
			case m.harmless != "" && err != nil:
				t.Errorf("%s.%s is refused, though %s: %v", m.path, m.wrong, m.harmless, err)
			}
		})
	}
}
