// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/test/testenv"
)

// The samples are applied as a user would, and are what the typed API makes of them.
func TestSamplesApply(t *testing.T) {
	folder := filepath.Join(testenv.Root(), "config", "samples")
	if _, err := env.Kubectl(t.Context(), env.Direct, "apply", "--server-side", "--kustomize", folder); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, file := range []string{
			"accesspolicy.yaml", "accesspolicy_audit.yaml", "auditsession.yaml", "clusteraccesspolicy.yaml", "connection.yaml", "connection_external.yaml", "credential.yaml", "identityprovider.yaml", "logsink.yaml", "rolebinding.yaml",
		} {
			remove(t, sample(file))
		}
	})
	for _, file := range []string{"approvalrequest.yaml", "auditsession.yaml"} {
		if _, err := env.Kubectl(t.Context(), env.Direct, "create", "--filename", filepath.Join(folder, file)); err != nil {
			t.Error(err)
		}
	}
	for _, file := range []string{"accesspolicy.yaml", "accesspolicy_audit.yaml", "clusteraccesspolicy.yaml", "connection.yaml", "connection_external.yaml", "identityprovider.yaml", "logsink.yaml"} {
		t.Run(file, func(t *testing.T) {
			want := sample(file)
			typed, err := scheme.New(want.GroupVersionKind())
			if err != nil {
				t.Fatal(err)
			}
			object := typed.(client.Object)
			if err := admin.Get(t.Context(), client.ObjectKeyFromObject(want), object); err != nil {
				t.Fatal(err)
			}
			object.GetObjectKind().SetGroupVersionKind(want.GroupVersionKind())
			data, err := yaml.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parse(data)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "the typed object", field(want.Object, "spec"), field(got.Object, "spec"))
		})
	}
}

// Every sample is accepted under strict validation from whoever writes such objects, and
// there is one of every kind, and of every type of a kind that has types.
func TestEverySampleIsAccepted(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Root(), "config", "samples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			object, err := parse([]byte(document))
			if err != nil {
				t.Fatalf("%s: %v", filepath.Base(file), err)
			}
			writer := admin
			switch object.GetKind() {
			case "Kustomization":
				continue // it is no object
			case "Secret":
				object.SetNamespace(namespace) // the operator's is not there
			case "AuditLog", "GatewayCredential":
				writer = as(managerUser)
			}
			kind, _, _ := unstructured.NestedString(object.Object, "spec", "type")
			shown[object.GetKind()], shown[object.GetKind()+" "+kind] = true, true
			// What is there already was judged all the same.
			err = writer.Create(t.Context(), object, client.DryRunAll, client.FieldValidation("Strict"))
			if err != nil && !apierrors.IsAlreadyExists(err) {
				t.Errorf("%s: %v", filepath.Base(file), err)
			}
		}
	}
	var definitions apiextensionsv1.CustomResourceDefinitionList
	if err := admin.List(t.Context(), &definitions); err != nil || len(definitions.Items) == 0 {
		t.Fatalf("%d definitions: %v", len(definitions.Items), err)
	}
	for _, d := range definitions.Items {
		if !shown[d.Spec.Names.Kind] {
			t.Errorf("there is no sample of kind %s", d.Spec.Names.Kind)
		}
		for _, word := range d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["type"].Enum {
			if kind := strings.Trim(string(word.Raw), `"`); !shown[d.Spec.Names.Kind+" "+kind] {
				t.Errorf("there is no sample of a %s of type %s", d.Spec.Names.Kind, kind)
			}
		}
	}
}

// Short names and the category are the console of kubectl and k9s.
func TestShortNames(t *testing.T) {
	for _, name := range []string{"conn", "ap", "cap", "ar", "alog", "as", "gwc", "idp", "sink", "ntf", "doorward"} {
		if _, err := env.Kubectl(t.Context(), env.Direct, "get", name, "--all-namespaces"); err != nil {
			t.Error(err)
		}
	}
}

// Every object that a page of docs/api shows is accepted under strict validation.
func TestDocumentedObjectsApply(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(testenv.Root(), "docs", "api", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]int{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range strings.Split(string(text), "```yaml\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			object, err := parse([]byte(block))
			if err != nil {
				t.Errorf("%s: block %d: %v", filepath.Base(page), i, err)
				continue
			}
			if object.GetAPIVersion() != "doorward.dev/v1alpha1" {
				continue
			}
			shown[object.GetKind()]++
			if name := object.GetName(); name != "" {
				object.SetName(name + "-doc")
			}
			writer := admin
			// These are named by what they are, and are the manager's alone.
			if object.GetKind() == "AuditLog" || object.GetKind() == "GatewayCredential" {
				writer = as(managerUser)
				object.SetName(strings.TrimSuffix(object.GetName(), "-doc"))
			}
			if err := writer.Create(t.Context(), object, client.DryRunAll, client.FieldValidation("Strict")); err != nil {
				t.Errorf("%s: block %d: %v", filepath.Base(page), i, err)
			}
		}
	}
	for _, kind := range []string{"AccessPolicy", "ApprovalRequest", "AuditLog", "AuditSession", "ClusterAccessPolicy", "Connection", "GatewayCredential", "IdentityProvider", "LogSink", "Notifier"} {
		if shown[kind] == 0 {
			t.Errorf("no page of docs/api shows an object of kind %s", kind)
		}
	}
}
