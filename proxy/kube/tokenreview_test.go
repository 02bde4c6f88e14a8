// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/identity/provider"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestReviewToken: a pod's own token of a real API server, for our audience, proves which pod
// it is, as long as the pod is there; without the right to ask, callers are told nothing and
// the operators what to do.
func TestReviewToken(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	_, err := s.core.CoreV1().ServiceAccounts(s.namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "web"}}, metav1.CreateOptions{})
	must(t, err)
	pod, err := s.core.CoreV1().Pods(s.namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-1"},
		Spec:       corev1.PodSpec{ServiceAccountName: "web", Containers: []corev1.Container{{Name: "web", Image: "example.com/web"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	tokenFor := func(audience string) string {
		t.Helper()
		seconds := int64(3600)
		request, err := s.core.CoreV1().ServiceAccounts(s.namespace).CreateToken(ctx, "web", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			Audiences: []string{audience}, ExpirationSeconds: &seconds,
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
		}}, metav1.CreateOptions{})
		must(t, err)
		return request.Status.Token
	}
	token := tokenFor("doorward")
	var claims struct {
		Issuer string `json:"iss"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	must(t, json.Unmarshal(payload, &claims))

	pool := oidc.NewPool(ctx)
	defer pool.Close()
	verifier, err := provider.Verifiers(pool, s.proxy)(ctx, []snapshot.IdentityProvider{{Name: "cluster", Type: provider.Kubernetes, Kubernetes: &snapshot.Kubernetes{
		IssuerURL: claims.Issuer, Audiences: []string{"doorward"}, Verification: snapshot.VerifyTokenReview,
	}}})
	must(t, err)
	verify := func(token string) (identity.Principal, error) {
		return verifier.Verify(ctx, identity.BearerToken(token))
	}

	if _, err := verify(token); err == nil || errors.Is(err, identity.ErrRejected) || !strings.Contains(err.Error(), "bind ClusterRole doorward-token-reviewer") {
		t.Errorf("without the right: %v, want no rejection, and the remedy", err)
	}
	role := metav1.ObjectMeta{Name: s.namespace + "-token-reviewer"}
	_, err = s.core.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: role, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
	}}, metav1.CreateOptions{})
	must(t, err)
	_, err = s.core.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: role, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "doorward-" + connectionName, Namespace: s.namespace}},
	}, metav1.CreateOptions{})
	must(t, err)
	var who identity.Principal
	eventually(t, "the token is accepted", func() bool {
		who, err = verify(token)
		return err == nil
	})
	if who.UserName != "system:serviceaccount:"+s.namespace+":web" || who.Kind != identity.Workload {
		t.Errorf("the caller is %+v", who)
	}
	for name, want := range map[string]string{oidc.ClaimPodName: "web-1", oidc.ClaimPodUID: string(pod.UID)} {
		if !slices.ContainsFunc(who.Claims, func(c identity.Claim) bool { return c.Name == name && slices.Equal(c.Values, []string{want}) }) {
			t.Errorf("%s is not %q: %+v", name, want, who.Claims)
		}
	}
	if _, err := verify(tokenFor("vault")); !errors.Is(err, identity.ErrRejected) {
		t.Errorf("checklist 29: a token for another: %v, want a rejection", err)
	}
	must(t, s.core.CoreV1().Pods(s.namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	eventually(t, "the token dies with its pod", func() bool {
		_, err = verify(token)
		return errors.Is(err, identity.ErrRejected)
	})
}
