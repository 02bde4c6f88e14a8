// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cel_test asks a real kube-apiserver about every rule of the API: the schemas and
// CEL rules of the kinds, and the admission policies.
package cel_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/config/admission"
	"github.com/doorward/doorward/test/testenv"
)

const (
	// namespace is the one of the samples.
	namespace = "shop-access"

	// settle bounds how long the API server may take to enforce what was applied: it looks once
	// a second, where it gets to it.
	settle = 2 * time.Minute
)

var (
	env    *testenv.Env
	scheme = runtime.NewScheme()
	admin  client.Client
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	log.SetLogger(logr.Discard())
	ctx := context.Background()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fail(err)
		}
	}
	var err error
	if env, err = testenv.Start(ctx, testenv.Options{
		CRDs: true, Admission: true,
		// It checks the types of the expressions in the policies.
		ControllerManager: true, Controllers: []string{"validatingadmissionpolicy-status-controller"},
	}); err != nil {
		return fail(err)
	}
	defer func() { _ = env.Stop() }()
	if admin, err = client.New(env.Direct, client.Options{Scheme: scheme}); err != nil {
		return fail(err)
	}
	if err := prepare(ctx); err != nil {
		return fail(err)
	}
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "cannot prepare the API server:", err)
	return 1
}

// prepare makes the namespace and what users may do, and waits until admission is enforced.
func prepare(ctx context.Context) error {
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		// Everyone in these tests may write the kinds, as if RBAC had been careless: what
		// is refused is refused by admission.
		clusterRole("test-writer",
			rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupName}, Verbs: []string{"get", "list", "create", "update", "patch"}, Resources: []string{
				"approvalrequests", "approvalrequests/status", "auditlogs", "auditlogs/status", "auditsessions", "auditsessions/status",
			}},
			rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupName}, Verbs: []string{"delete", "deletecollection"}, Resources: []string{"auditlogs", "approvalrequests"}},
			rbacv1.PolicyRule{APIGroups: []string{""}, Verbs: []string{"get", "create", "update", "patch"}, Resources: []string{"configmaps"}},
			rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupName}, Verbs: []string{"get"}, Resources: []string{"connections"}}),
		clusterRole("test-credential-writer", rbacv1.PolicyRule{
			APIGroups: []string{v1alpha1.GroupName}, Verbs: []string{"get", "list", "create", "update", "patch", "delete", "deletecollection"}, Resources: []string{"gatewaycredentials"},
		}),
		clusterRole("test-revoke", rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupName}, Verbs: []string{v1alpha1.VerbRevoke}, Resources: []string{"gatewaycredentials"}}),
		clusterBinding("test-credential-writer", rbacv1.Subject{Kind: "Group", Name: "system:authenticated"}),
		clusterBinding("test-revoke", rbacv1.Subject{Kind: "User", Name: revokerUser}),
		clusterRole("test-serve", verbRule(v1alpha1.VerbServe)),
		clusterRole("test-approve", verbRule(v1alpha1.VerbApprove)),
		clusterRole("test-terminate", verbRule(v1alpha1.VerbTerminate)),
		binding("test-terminate", rbacv1.Subject{Kind: "User", Name: namedServiceAccount}),
		binding("test-writer", rbacv1.Subject{Kind: "Group", Name: "system:authenticated"}),
		binding("test-serve", rbacv1.Subject{Kind: "User", Name: proxyUser}, rbacv1.Subject{Kind: "User", Name: managerUser}),
		binding("test-approve",
			rbacv1.Subject{Kind: "Group", Name: "shop-leads"},
			rbacv1.Subject{Kind: "Group", Name: "others"},
			rbacv1.Subject{Kind: "User", Name: requesterUser},
			rbacv1.Subject{Kind: "User", Name: namedServiceAccount},
			rbacv1.Subject{Kind: "User", Name: otherServiceAccount}),
	}
	for _, object := range objects {
		if err := admin.Create(ctx, object); err != nil {
			return err
		}
	}
	return awaitEnforced(ctx)
}

// awaitEnforced waits until every admission policy answers: the API server enforces them a
// moment after they were applied.
func awaitEnforced(ctx context.Context) error {
	last := errors.New("not probed")
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, settle, true, func(ctx context.Context) (bool, error) {
		err := enforced(ctx)
		if ctx.Err() == nil {
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("admission is not enforced: %w: %w", err, last)
	}
	return nil
}

// errAccepted stands for the missing refusal of a probe.
var errAccepted = errors.New("accepted")

// enforced returns an error where an admission policy does not answer.
func enforced(ctx context.Context) error {
	nobody := as("nobody")
	refused := func(what string, err error) error {
		if apierrors.IsForbidden(err) {
			return nil
		}
		return fmt.Errorf("%s: want Forbidden, got: %w", what, cmp.Or(err, errAccepted))
	}
	// The updates are asked about objects that are thrown away afterwards.
	request, session := sample("approvalrequest.yaml"), sample("auditsession.yaml")
	session.SetName("probe")
	defer func() {
		_ = admin.Delete(ctx, request)
		_ = admin.Delete(ctx, session)
	}()
	for _, object := range []*unstructured.Unstructured{request, session} {
		if err := admin.Create(ctx, object); err != nil {
			return err
		}
	}
	status, label, sessionLabel, decided := request.DeepCopy(), request.DeepCopy(), session.DeepCopy(), request.DeepCopy()
	set(status, "status.phase", "Approved")
	label.SetLabels(map[string]string{"probe": "true"})
	sessionLabel.SetLabels(map[string]string{"probe": "true"})
	set(decided, "spec.decisions", []any{decision("Approve")})
	return errors.Join(
		refused("create a request", nobody.Create(ctx, sample("approvalrequest.yaml"), client.DryRunAll)),
		refused("create a log", nobody.Create(ctx, sample("auditlog.yaml"), client.DryRunAll)),
		refused("create a credential", nobody.Create(ctx, sample("gatewaycredential.yaml"), client.DryRunAll)),
		refused("create a session", nobody.Create(ctx, sample("auditsession.yaml"), client.DryRunAll)),
		refused("write the status of a request", nobody.Status().Update(ctx, status, client.DryRunAll)),
		refused("update a request", nobody.Update(ctx, label, client.DryRunAll)),
		refused("update a session", nobody.Update(ctx, sessionLabel, client.DryRunAll)),
		as("company:bob", "shop-leads").Update(ctx, decided, client.DryRunAll),
	)
}

func verbRule(verb string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{
		APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"connections"},
		ResourceNames: []string{"orders-db"}, Verbs: []string{verb},
	}
}

func clusterRole(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
}

func binding(role string, subjects ...rbacv1.Subject) *rbacv1.RoleBinding {
	for i := range subjects {
		subjects[i].APIGroup = rbacv1.GroupName
	}
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   subjects,
	}
}

// makeWritable makes a namespace where everyone may write the kinds, as in that of the
// samples. The API server's authorizer learns of it a moment later.
func makeWritable(t *testing.T, name string) {
	t.Helper()
	writers := binding("test-writer", rbacv1.Subject{Kind: "Group", Name: "system:authenticated"})
	writers.Namespace = name
	for _, object := range []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, writers} {
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// clusterBinding binds a role in the whole cluster.
func clusterBinding(role string, subjects ...rbacv1.Subject) *rbacv1.ClusterRoleBinding {
	of := binding(role, subjects...)
	return &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: role}, RoleRef: of.RoleRef, Subjects: of.Subjects}
}

// as returns a client of a user whom the API server knows by a certificate.
func as(name string, groups ...string) client.Client {
	config, err := env.AddUser(name, groups...)
	if err != nil {
		panic(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme, Mapper: admin.RESTMapper()})
	if err != nil {
		panic(err)
	}
	return c
}

// sample reads one of config/samples.
func sample(name string) *unstructured.Unstructured {
	data, err := os.ReadFile(filepath.Join(testenv.Root(), "config", "samples", name))
	if err != nil {
		panic(err)
	}
	object, err := parse(data)
	if err != nil {
		panic(err)
	}
	return object
}

// parse reads one object of YAML, with whole numbers as int64 as a client has them.
func parse(data []byte) (*unstructured.Unstructured, error) {
	data, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	err = object.UnmarshalJSON(data)
	return object, err
}

// remove deletes an object at the end of a test.
func remove(t *testing.T, object client.Object) {
	t.Helper()
	user := admin
	if object.GetObjectKind().GroupVersionKind().Kind == "ApprovalRequest" {
		user = as(managerUser) // nobody else deletes what is not reviewed
	}
	if err := client.IgnoreNotFound(user.Delete(context.WithoutCancel(t.Context()), object)); err != nil {
		t.Errorf("cannot remove %q: %v", object.GetName(), err)
	}
}

// expect compares an error with the words that it must have; none means no error.
func expect(t *testing.T, reason string, err error, words string) {
	t.Helper()
	switch {
	case words == "" && err != nil:
		t.Errorf("%s: want no error, got: %v", reason, err)
	case words != "" && err == nil:
		t.Errorf("%s: want an error with %q, got none", reason, words)
	case words != "" && !strings.Contains(err.Error(), words):
		t.Errorf("%s: want an error with %q, got: %v", reason, words, err)
	}
}

var managerUser = admission.DefaultManagerUser
