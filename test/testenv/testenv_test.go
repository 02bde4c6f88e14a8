// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/doorward/doorward/test/testenv"
)

// authentication names an issuer nobody runs: the API server has to start all the same.
const authentication = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer:
    url: https://127.0.0.1:1/issuer
    audiences: [doorward]
  claimMappings:
    username: {claim: sub, prefix: "test:"}
`

var env *testenv.Env

func TestMain(m *testing.M) {
	os.Exit(testenv.Run(m, testenv.Options{ControllerManager: true, AuthenticationConfig: authentication}, &env))
}

func clientFor(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func eventually(t *testing.T, what string, condition func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true,
		func(ctx context.Context) (bool, error) {
			last = condition(ctx)
			return last == nil, nil
		})
	if err != nil {
		t.Fatalf("%s: %v: last: %v", what, err, last)
	}
}

func TestUserHasOnlyWhatRBACGives(t *testing.T) {
	config, err := env.AddUser("alice", "analysts")
	if err != nil {
		t.Fatal(err)
	}
	alice := clientFor(t, config)
	if _, err := alice.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("alice lists Secrets before any binding: got %v, want Forbidden", err)
	}
	_, err = clientFor(t, env.RESTConfig).RbacV1().RoleBindings("default").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "analysts-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "analysts"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The rules of "edit" are aggregated by kube-controller-manager.
	eventually(t, "alice lists Secrets", func(ctx context.Context) error {
		_, err := alice.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
		return err
	})
	events, err := env.AuditEvents(testenv.ByUser("alice"), testenv.OnResource("secrets"))
	if err != nil {
		t.Fatal(err)
	}
	if len(events) < 2 || events[0].ResponseStatus.Code != 403 || events[len(events)-1].ResponseStatus.Code != 200 {
		t.Errorf("audit events of alice on secrets: got %+v, want a 403 first and a 200 last", events)
	}
	if len(events) > 0 && !slices.Contains(events[0].User.Groups, "analysts") {
		t.Errorf("audited groups: got %q, want analysts among them", events[0].User.Groups)
	}
}

func TestServiceAccountConfig(t *testing.T) {
	eventually(t, "the default ServiceAccount exists", func(ctx context.Context) error {
		_, err := clientFor(t, env.RESTConfig).CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	config, err := env.ServiceAccountConfig(t.Context(), "default", "default")
	if err != nil {
		t.Fatal(err)
	}
	out, err := env.Kubectl(t.Context(), config, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
	if err != nil {
		t.Fatal(err)
	}
	if want := "system:serviceaccount:default:default"; out != want {
		t.Errorf("whoami: got %q, want %q", out, want)
	}
}

func TestForeignTokenIsRefused(t *testing.T) {
	_, err := clientFor(t, env.TokenConfig("not-a-token")).CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsUnauthorized(err) {
		t.Errorf("list with a made-up token: got %v, want Unauthorized", err)
	}
}

func TestAdmissionPoliciesAreServed(t *testing.T) {
	list, err := clientFor(t, env.RESTConfig).Discovery().ServerResourcesForGroupVersion("admissionregistration.k8s.io/v1")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"} {
		if !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind }) {
			t.Errorf("%s v1 is not served", kind)
		}
	}
}

func TestNamespaceIsEmptied(t *testing.T) {
	client := clientFor(t, env.RESTConfig)
	namespace, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "gone-"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().Namespaces().Delete(t.Context(), namespace.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is gone", func(ctx context.Context) error {
		_, err := client.CoreV1().Namespaces().Get(ctx, namespace.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, errors.New("still there"))
	})
}

func TestApply(t *testing.T) {
	manifest := filepath.Join(t.TempDir(), "map.yaml")
	content := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied, namespace: default}\ndata: {a: b}\n"
	if err := os.WriteFile(manifest, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := env.Apply(t.Context(), manifest); err != nil {
		t.Fatal(err)
	}
	if err := env.Apply(t.Context(), filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("applying a missing folder succeeded")
	}
}

func TestAPIGoesAwayAndComesBack(t *testing.T) {
	const patience = 30 * time.Second
	get := func(config *rest.Config, timeout time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		_, err := clientFor(t, config).CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{})
		return err
	}
	t.Cleanup(func() {
		if err := env.Resume(); err != nil {
			t.Error(err)
		}
	})
	for name, tc := range map[string]struct {
		reason string
		away   func() error
		wanted func(error) bool
		// timeout is how long the client waits for an answer.
		timeout time.Duration
	}{
		"closed": {
			reason:  "a closed port refuses at once",
			away:    env.CloseAPI,
			wanted:  func(err error) bool { return strings.Contains(err.Error(), "connection refused") },
			timeout: patience,
		},
		"black hole": {
			reason: "a black hole answers nothing until the client gives up",
			away:   func() error { env.BlackHole(); return nil },
			wanted: func(err error) bool {
				var timeout net.Error
				return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
			},
			timeout: 2 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			if err := tc.away(); err != nil {
				t.Fatal(err)
			}
			if err := get(env.RESTConfig, tc.timeout); err == nil || !tc.wanted(err) {
				t.Errorf("through the forwarder: got %v", err)
			}
			if err := get(env.Direct, patience); err != nil {
				t.Errorf("past the forwarder: got %v", err)
			}
			if err := env.Resume(); err != nil {
				t.Fatal(err)
			}
			if err := get(env.RESTConfig, patience); err != nil {
				t.Errorf("after Resume: got %v", err)
			}
		})
	}
}
