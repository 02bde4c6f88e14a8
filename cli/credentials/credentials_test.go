// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
)

// TestWhose: whose credentials are shown to whom.
func TestWhose(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	t.Setenv("HOME", config)
	logins := filepath.Join(config, "doorward", "logins")
	if err := os.MkdirAll(logins, 0o700); err != nil {
		t.Fatal(err)
	}
	login, err := json.Marshal(map[string]string{"issuer": "https://login.example", "credential": "here"})
	if err == nil {
		err = os.WriteFile(filepath.Join(logins, "0.json"), login, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	made := func(name, owner string) client.Object {
		g := &v1alpha1.GatewayCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
		g.Spec.Owner.KubernetesUsername = owner
		return g
	}
	scheme, err := cluster.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason         string
		mayList, every bool
		want           []string
	}{
		"List":   {"whoever may list sees what is theirs", true, false, []string{"mine"}},
		"All":    {"and with --all that of everybody", true, true, []string{"here", "mine", "theirs"}},
		"NoList": {"others see the logins of this machine, also of a provider without kubernetesUsername", false, false, []string{"here"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(made("here", ""), made("mine", "company:alice"), made("theirs", "company:bob")).
				WithInterceptorFuncs(interceptor.Funcs{
					List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
						if !tc.mayList {
							return apierrors.NewForbidden(v1alpha1.GroupVersion.WithResource(resource).GroupResource(), "", nil)
						}
						return c.List(ctx, list, opts...)
					},
					Create: func(_ context.Context, _ client.WithWatch, object client.Object, _ ...client.CreateOption) error {
						object.(*authenticationv1.SelfSubjectReview).Status.UserInfo.Username = "company:alice"
						return nil
					},
				}).Build()
			found, err := (&listing{all: tc.every}).find(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, g := range found {
				got = append(got, g.Name)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
