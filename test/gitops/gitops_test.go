// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/operator"
	"github.com/doorward/doorward/test/testenv"
)

// TestAppliedAgainAndAgain: two tools apply the same while the manager runs. Nothing moves:
// no generation, no status, no field changes hands, and there is nothing to apply.
func TestAppliedAgainAndAgain(t *testing.T) {
	path := applied(t)
	before, err := live(t.Context())
	must(t, err)
	for range 5 {
		kubectl(t, env.Direct, "apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller", "--filename", path)
		// Without --force-conflicts: the other has nothing against it.
		kubectl(t, env.Direct, "apply", "--server-side", "--field-manager=argocd-controller", "--filename", path)
		if drift := kubectl(t, env.Direct, "diff", "--server-side", "--field-manager=kustomize-controller", "--filename", path); drift != "" {
			t.Fatalf("there is drift:\n%s", drift)
		}
	}
	after, err := live(t.Context())
	must(t, err)
	for _, o := range objects(t) {
		was, is := before[key(o)], after[key(o)]
		if is == nil || is.GetUID() != was.GetUID() || is.GetGeneration() != was.GetGeneration() {
			t.Errorf("%s changed: %+v", key(o), is)
			continue
		}
		if status, _, _ := unstructured.NestedSlice(is.Object, "status", "conditions"); len(status) == 0 {
			t.Errorf("%s lost its status", key(o))
		}
		for _, f := range is.GetManagedFields() {
			tool := f.Manager == "kustomize-controller" || f.Manager == "argocd-controller"
			if tool == (f.Subresource == "status") || !tool && strings.Contains(f.FieldsV1.GetRawString(), "f:spec") {
				t.Errorf("%s: field manager %s, subresource %q, has %s", key(o), f.Manager, f.Subresource, f.FieldsV1.GetRawString())
			}
		}
	}
}

// TestNothingIsCopied: what the manager and proxies make has no mark of a tool, on itself or
// on its pods, and what it makes of a Connection is garbage collection's.
func TestNothingIsCopied(t *testing.T) {
	applied(t)
	recorded(t)
	of := map[string]int{}
	for name, o := range runtimeObjects(t) {
		of[o.GetKind()]++
		pods, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
		podAnnotations, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "annotations")
		for _, has := range []map[string]string{o.GetLabels(), o.GetAnnotations(), pods, podAnnotations} {
			for mark, value := range has {
				if strings.Contains(mark, "argoproj") || strings.Contains(mark, "fluxcd") || strings.Contains(mark, "helm") || strings.Contains(mark, "applyset") ||
					strings.Contains(mark, "last-applied") || mark == "app.kubernetes.io/instance" || value == "Helm" {
					t.Errorf("checklist 39: %s has %s=%s", name, mark, value)
				}
			}
		}
		if connection := o.GetLabels()["doorward.dev/connection"]; connection != "" && o.GetKind() == "Deployment" {
			owner := metav1.GetControllerOf(o)
			if owner == nil || owner.Name != connection || owner.BlockOwnerDeletion == nil || !*owner.BlockOwnerDeletion {
				t.Errorf("%s has owner %+v", name, owner)
			}
		}
	}
	for _, kind := range []string{"Deployment", "ReplicaSet", "Service", "Secret", "ConfigMap", "Role", "NetworkPolicy", "ApprovalRequest", "AuditSession", "AuditLog"} {
		if of[kind] == 0 {
			t.Errorf("there was no %s to look at", kind)
		}
	}
}

// prunes are the ways in which tools take away what is in Git no more. Each is more than
// what the tool does: no exception that it makes for owned objects is made.
var prunes = map[string]func(t *testing.T, left []*unstructured.Unstructured){
	"Flux":          byLabels(client.MatchingLabels{"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}, metav1.DeletePropagationBackground),
	"ArgoCDByLabel": byLabels(client.MatchingLabels{"app.kubernetes.io/instance": "shop"}, metav1.DeletePropagationForeground),
	"Kubectl": func(t *testing.T, left []*unstructured.Unstructured) {
		t.Helper()
		args := []string{"--selector", "app.kubernetes.io/instance=shop", "--filename"}
		// It knows its own by an annotation of its own.
		kubectl(t, env.Direct, append([]string{"apply"}, append(slices.Clone(args), manifests(t, objects(t)))...)...)
		pruning := append([]string{"apply", "--prune"}, append(args, manifests(t, left))...)
		for _, kind := range kinds {
			group := kind.Group
			if group == "" {
				group = "core"
			}
			pruning = append(pruning, fmt.Sprintf("--prune-allowlist=%s/%s/%s", group, kind.Version, kind.Kind))
		}
		kubectl(t, env.Direct, pruning...)
	},
	"ApplySet": func(t *testing.T, left []*unstructured.Unstructured) {
		t.Helper()
		t.Setenv("KUBECTL_APPLYSET", "true")
		namespaced := func(set []*unstructured.Unstructured) []*unstructured.Unstructured {
			return slices.DeleteFunc(slices.Clone(set), func(o *unstructured.Unstructured) bool { return o.GetNamespace() == "" })
		}
		for _, set := range [][]*unstructured.Unstructured{objects(t), left} {
			kubectl(t, env.Direct, "apply", "--server-side", "--force-conflicts", "--namespace", namespace, "--prune", "--applyset=shop", "--filename", manifests(t, namespaced(set)))
		}
		parent := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"}}
		must(t, admin.Delete(t.Context(), parent))
	},
}

// byLabels prunes what has the tool's labels, of every kind that there is.
func byLabels(labels client.MatchingLabels, propagation metav1.DeletionPropagation) func(*testing.T, []*unstructured.Unstructured) {
	return func(t *testing.T, left []*unstructured.Unstructured) {
		t.Helper()
		owned, err := live(t.Context(), labels)
		must(t, err)
		for _, o := range left {
			delete(owned, key(o))
		}
		for _, o := range owned {
			must(t, admin.Delete(t.Context(), o, client.PropagationPolicy(propagation)))
		}
	}
}

// TestPruned is checklist 39: a Connection that is taken out of Git goes, with what was made
// of it, and nothing else does that was made at run time; records least of all.
func TestPruned(t *testing.T) {
	for name, prune := range prunes {
		t.Run(name, func(t *testing.T) {
			applied(t)
			recorded(t)
			before := runtimeObjects(t)
			prune(t, objects(t, "stock-db"))
			settles(t, "the Connection and its proxies to go", func(ctx context.Context) error {
				found, err := live(ctx)
				if err != nil {
					return err
				}
				for name, o := range found {
					if strings.Contains(name, "stock-db") && o.GetKind() != "Event" && o.GetName() != "stock-db-credential" {
						return fmt.Errorf("%s is still there", name)
					}
				}
				return nil
			})
			after, err := live(t.Context())
			must(t, err)
			kept := map[string]int{}
			for name, o := range before {
				if strings.Contains(name, "stock-db") || o.GetKind() == "EndpointSlice" || o.GetKind() == "Secret" && o.GetName() == "shop" {
					continue
				}
				if is := after[name]; is == nil || is.GetUID() != o.GetUID() {
					t.Errorf("checklist 39: %s is gone", name)
				}
				kept[o.GetKind()]++
			}
			for _, kind := range []string{"Deployment", "Secret", "ApprovalRequest", "AuditSession", "AuditLog", "GatewayCredential"} {
				if kept[kind] == 0 {
					t.Errorf("there was no %s to keep", kind)
				}
			}
			for _, o := range objects(t, "stock-db") {
				if after[key(o)] == nil {
					t.Errorf("%s is gone, which is in Git", key(o))
				}
			}
		})
	}
}

// documented are the objects of a kind that the page shows.
func documented(t *testing.T, kind string) []*unstructured.Unstructured {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "operations", "gitops.md"))
	must(t, err)
	var found []*unstructured.Unstructured
	for _, block := range strings.Split(string(page), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for document := range strings.SplitSeq(block, "\n---\n") {
			object := &unstructured.Unstructured{}
			must(t, yaml.UnmarshalStrict([]byte(document), &object.Object))
			if object.GetKind() == kind {
				found = append(found, object)
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("the page shows no %s", kind)
	}
	return found
}

// TestAccountOfTheTool is checklist 32 and 39: with the documented roles a tool applies what
// Git holds, and neither asks, approves nor ends; with more rights than it should have, it
// still approves nothing.
func TestAccountOfTheTool(t *testing.T) {
	applied(t)
	recorded(t)
	for _, role := range documented(t, "ClusterRole") {
		must(t, admin.Create(t.Context(), role))
	}
	for _, name := range []string{"doorward-gitops", "wide"} {
		must(t, admin.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: name}}))
	}
	subject := func(name string) rbacv1.Subject {
		return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: "flux-system", Name: name}
	}
	must(t, admin.Create(t.Context(), operator.Bind(namespace, "gitops", "ClusterRole", "doorward-gitops", subject("doorward-gitops"))))
	must(t, admin.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "gitops"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "doorward-gitops-cluster"},
		Subjects: []rbacv1.Subject{subject("doorward-gitops")},
	}))
	must(t, admin.Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "wide"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}},
	}))
	must(t, admin.Create(t.Context(), operator.Bind(namespace, "wide", "Role", "wide", subject("wide"))))

	tool, err := env.ServiceAccountConfig(t.Context(), "flux-system", "doorward-gitops")
	must(t, err)
	wide, err := env.ServiceAccountConfig(t.Context(), "flux-system", "wide")
	must(t, err)
	settles(t, "the rights", func(ctx context.Context) error {
		_, err := env.Kubectl(ctx, tool, "apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller", "--filename", manifests(t, objects(t)))
		return err
	})
	for _, right := range []string{"approve connections", "serve connections", "terminate connections", "create approvalrequests", "patch approvalrequests", "patch auditsessions", "delete approvalrequests", "get secrets"} {
		verb, resource, _ := strings.Cut(right, " ")
		if resource != "secrets" {
			resource += ".doorward.dev"
		}
		if out, err := env.Kubectl(t.Context(), tool, "auth", "can-i", verb, resource, "--namespace", namespace); err == nil {
			t.Errorf("the tool may %s: %s", right, out)
		}
	}

	var requests v1alpha1.ApprovalRequestList
	must(t, admin.List(t.Context(), &requests, client.InNamespace(namespace)))
	if len(requests.Items) == 0 {
		t.Fatal("there is no request")
	}
	request := &requests.Items[0]
	forged := &unstructured.Unstructured{}
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "config", "samples", "approvalrequest.yaml"))
	must(t, err)
	must(t, yaml.Unmarshal(text, &forged.Object))
	forged.SetGenerateName("")
	forged.SetName("from-git")
	must(t, unstructured.SetNestedSlice(forged.Object, []any{map[string]any{
		"verdict": "Approve", "operationDigest": request.Spec.Operation.Digest,
		"approver": map[string]any{"username": "bob", "groups": []any{"shop-leads"}},
	}}, "spec", "decisions"))
	path := manifests(t, []*unstructured.Unstructured{forged})
	decision := fmt.Sprintf(`[{"op":"add","path":"/spec/decisions/-","value":{"verdict":"Approve","operationDigest":%q}}]`, request.Spec.Operation.Digest)
	for name, attempt := range map[string]struct {
		reason, want string
		try          func() (string, error)
	}{
		"Apply": {"the documented role writes no requests", "forbidden", func() (string, error) {
			return env.Kubectl(t.Context(), tool, "apply", "--server-side", "--filename", path)
		}},
		"ApplyWide": {"a request begins without decisions", "decisions must be empty on create", func() (string, error) {
			return env.Kubectl(t.Context(), wide, "apply", "--server-side", "--filename", path)
		}},
		"ApplyAdmin": {"whoever applies it", "decisions must be empty on create", func() (string, error) {
			return env.Kubectl(t.Context(), env.Direct, "apply", "--server-side", "--filename", path)
		}},
		"Patch": {"the documented role decides nothing", "forbidden", func() (string, error) {
			return env.Kubectl(t.Context(), tool, "patch", "approvalrequest", request.Name, "--namespace", namespace, "--type=json", "--patch", decision)
		}},
		"PatchWide": {"a ServiceAccount approves nothing that no policy lets it", "doorward-approvalrequest", func() (string, error) {
			return env.Kubectl(t.Context(), wide, "patch", "approvalrequest", request.Name, "--namespace", namespace, "--type=json", "--patch", decision)
		}},
		"Status": {"the status is the manager's", "written by", func() (string, error) {
			return env.Kubectl(t.Context(), wide, "patch", "approvalrequest", request.Name, "--namespace", namespace, "--subresource=status", "--type=merge", "--patch", `{"status":{"phase":"Approved"}}`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := attempt.try(); err == nil || !strings.Contains(err.Error(), attempt.want) {
				t.Errorf("%s: %s: %v, want %q", attempt.reason, out, err, attempt.want)
			}
		})
	}
}

// TestExclusions: what the page tells Argo CD to leave alone is all that is made at run time.
func TestExclusions(t *testing.T) {
	text, _, err := unstructured.NestedString(documented(t, "ConfigMap")[0].Object, "data", "resource.exclusions")
	must(t, err)
	var exclusions []struct {
		APIGroups []string `json:"apiGroups"`
		Kinds     []string `json:"kinds"`
		Clusters  []string `json:"clusters"`
	}
	must(t, yaml.UnmarshalStrict([]byte(text), &exclusions))
	if len(exclusions) != 1 || !slices.Equal(exclusions[0].APIGroups, []string{v1alpha1.GroupName}) || !slices.Equal(exclusions[0].Kinds, []string{"ApprovalRequest", "AuditSession", "AuditLog", "GatewayCredential"}) {
		t.Errorf("%+v", exclusions)
	}
	for _, kind := range exclusions[0].Kinds {
		if !admin.Scheme().Recognizes(v1alpha1.GroupVersion.WithKind(kind)) {
			t.Errorf("there is no kind %s", kind)
		}
	}
	must(t, func() error { _, err := live(t.Context()); return err }())
}
