// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/config/crd"
)

// notRestored are the kinds that are not put back into another cluster, and why.
var notRestored = map[string]string{
	"ApprovalRequest":   "an approval belongs to an operation that a proxy holds, or to the Connection's former UID",
	"AuditLog":          "it is the witness's word, and evidence",
	"AuditSession":      "the records have all of it",
	"GatewayCredential": "the key of the credentials that it ends is not restored",
}

// everywhere and chat are of the kinds that no other test needs.
const (
	everywhere = `apiVersion: doorward.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: everywhere}
spec:
  mode: Enforce
  when: []
  subjects: [{kind: Everyone, identityProvider: "*"}]
  namespaces: [{name: "*"}]
  connections: [{name: "*"}]
  rules: [{name: no-destruction, effect: Deny, actions: [drop, truncate], message: by releases only}]
  masks: []
  limits: []
`
	chat = `apiVersion: doorward.dev/v1alpha1
kind: Notifier
metadata: {name: chat}
spec:
  secret: {name: notifier-chat}
  events: [Requested]
  namespaces: [{name: "*"}]
  connections: [{name: "*"}]
  markup: Plain
`
)

// objectsOf are the specs of all objects of ours in a cluster, by kind, namespace and name.
func objectsOf(t *testing.T, c client.Client) map[string]map[string]any {
	t.Helper()
	definitions, err := crd.Objects()
	must(t, err)
	all := map[string]map[string]any{}
	for i := range definitions {
		d := &definitions[i].Spec
		var list unstructured.UnstructuredList
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: d.Group, Version: d.Versions[0].Name, Kind: d.Names.ListKind})
		must(t, c.List(t.Context(), &list))
		all[d.Names.Kind] = map[string]any{}
		for _, object := range list.Items {
			all[d.Names.Kind][object.GetNamespace()+"/"+object.GetName()] = object.Object["spec"]
		}
	}
	return all
}

// allBack holds a cluster against the one that was lost: no kind is forgotten.
func allBack(t *testing.T, kept, now map[string]map[string]any) {
	t.Helper()
	for kind, objects := range kept {
		if notRestored[kind] != "" {
			continue
		}
		if len(objects) == 0 {
			t.Errorf("there was no %s: make one, or say in notRestored why it need not be restored", kind)
		}
		if diff := cmp.Diff(objects, now[kind]); diff != "" {
			t.Errorf("%s, -before +restored\n%s", kind, diff)
		}
	}
	for kind := range notRestored {
		if kept[kind] == nil {
			t.Errorf("there is no kind %s", kind)
		}
	}
}
