// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"context"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestAPIServerTakes applies every object that is rendered, as server-side dry runs: the API
// server takes each, knows every field, warns of nothing, and Pod Security takes the manager's
// pods where it enforces the restricted standard.
func TestAPIServerTakes(t *testing.T) {
	if err := env.InstallCRDs(monitoringFiles(t)...); err != nil {
		t.Fatal(err)
	}
	said := &warnings{}
	config := rest.CopyConfig(env.RESTConfig)
	config.WarningHandlerWithContext = said
	plainClient, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	strict := client.WithFieldValidation(plainClient, metav1.FieldValidationStrict)
	prepare(t, plainClient)
	inputs := map[string][]byte{definitions: render(t, definitions, "")}
	for _, values := range valueSets(t) {
		inputs[values] = render(t, chart, values)
	}
	for name, input := range inputs {
		t.Run(name, func(t *testing.T) {
			for _, object := range objects(t, input) {
				said.reset()
				err := strict.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.DryRunAll, client.FieldOwner("helm"))
				if err != nil {
					t.Errorf("%s: %v", id(object), err)
				}
				if object.GetKind() == "Deployment" {
					if err := plainClient.Create(t.Context(), pod(t, object), client.DryRunAll); err != nil {
						t.Errorf("the pods of %s: %v", id(object), err)
					}
				}
				for _, warning := range said.get() {
					t.Errorf("%s: the API server warns: %s", id(object), warning)
				}
			}
		})
	}
}

// TestPodSecurityIsEnforced shows that the test above could fail.
func TestPodSecurityIsEnforced(t *testing.T) {
	c, err := client.New(env.RESTConfig, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	prepare(t, c)
	loose := render(t, chart, "default", "--set", "containerSecurityContext.allowPrivilegeEscalation=true")
	for _, object := range objects(t, loose) {
		if object.GetKind() == "Deployment" {
			if err := c.Create(t.Context(), pod(t, object), client.DryRunAll); err == nil || !strings.Contains(err.Error(), "PodSecurity") {
				t.Errorf("want Pod Security to refuse it, got: %v", err)
			}
		}
	}
}

// prepare makes what a release stands on: namespaces, the pods' accounts and class.
func prepare(t *testing.T, c client.Client) {
	t.Helper()
	restricted := map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
	}
	var wanted []client.Object
	for _, name := range []string{namespace, "shop-access", "billing-access", "monitoring"} {
		wanted = append(wanted, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: restricted}})
	}
	for _, name := range []string{"doorward-manager", "gatekeeper"} {
		wanted = append(wanted, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
	}
	wanted = append(wanted, &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "access"}, Value: 1000})
	for _, object := range wanted {
		if err := client.IgnoreAlreadyExists(c.Create(t.Context(), object)); err != nil {
			t.Fatal(err)
		}
	}
}

// pod is what a Deployment's template makes.
func pod(t *testing.T, deployment *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	template, found, err := unstructured.NestedMap(deployment.Object, "spec", "template")
	if err != nil || !found {
		t.Fatalf("%s: no template: %v", id(deployment), err)
	}
	made := &unstructured.Unstructured{Object: template}
	made.SetAPIVersion("v1")
	made.SetKind("Pod")
	made.SetNamespace(deployment.GetNamespace())
	made.SetGenerateName(deployment.GetName() + "-")
	return made
}

// warnings are what the API server said beside its answers.
type warnings struct {
	mu   sync.Mutex
	said []string
}

func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
}

func (w *warnings) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = nil
}

func (w *warnings) get() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said
}
