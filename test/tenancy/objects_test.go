// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	"encoding/base64"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/operator"
)

// objects are the tenants' Connections with their credentials: orders (External),
// stock (Managed) and wages in the shop, till in the other's.
func objects() []client.Object {
	var all []client.Object
	for _, c := range []*v1alpha1.Connection{
		connection(shop, "orders", v1alpha1.PlacementExternal, "orders.example.org"), connection(shop, "stock", v1alpha1.PlacementManaged),
		connection(shop, "wages", v1alpha1.PlacementExternal, "wages.example.org"), connection(till, "till", v1alpha1.PlacementExternal, "till.example.org"),
	} {
		all = append(all, credential(c), c)
	}
	return append(all,
		&v1alpha1.LogSink{ObjectMeta: metav1.ObjectMeta{Name: "stdout"}, Spec: v1alpha1.LogSinkSpec{Type: v1alpha1.LogSinkStdout}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: "webhook"}, Type: v1alpha1.SecretTypeSinkCredential,
			StringData: map[string]string{"signingKey": "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))},
		},
		&v1alpha1.IdentityProvider{ObjectMeta: metav1.ObjectMeta{Name: "company"}, Spec: v1alpha1.IdentityProviderSpec{
			Type: v1alpha1.IdentityProviderOIDC, OIDC: &v1alpha1.OIDCProvider{
				Issuer:               v1alpha1.OIDCIssuer{URL: "https://login.example.org", Audiences: []string{"doorward"}},
				ClaimMappings:        v1alpha1.ClaimMappings{Username: v1alpha1.PrefixedClaimMapping{Claim: "preferred_username", Prefix: new("")}},
				ClaimValidationRules: []v1alpha1.ClaimValidationRule{},
				UserValidationRules:  []v1alpha1.UserValidationRule{},
			},
		}},
		&v1alpha1.LogSink{ObjectMeta: metav1.ObjectMeta{Name: "webhook"}, Spec: v1alpha1.LogSinkSpec{
			Type: v1alpha1.LogSinkWebhook, Secret: &v1alpha1.SinkSecretReference{Name: "webhook"}, Webhook: &v1alpha1.WebhookSink{URL: "https://logs.example.org/records"},
		}})
}

func connection(namespace, name string, placement v1alpha1.Placement, serverNames ...string) *v1alpha1.Connection {
	c := &v1alpha1.Connection{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ConnectionSpec{
			Protocol: "postgres", Targets: []v1alpha1.Target{{Host: "db." + namespace + ".svc", Port: 5432}},
			Credential: v1alpha1.TargetCredential{Type: v1alpha1.CredentialSecret, Secret: &v1alpha1.SecretReference{Name: name + "-credential"}},
			Options:    &runtime.RawExtension{Raw: []byte(`{"databases":["` + name + `"]}`)},
			Proxy:      v1alpha1.Proxy{Placement: placement},
		},
	}
	if placement == v1alpha1.PlacementExternal {
		c.Spec.Proxy.External = &v1alpha1.ExternalProxy{ServerNames: serverNames}
	} else {
		c.Spec.Proxy.Managed = &v1alpha1.ManagedProxy{Spool: &v1alpha1.SpoolVolume{StorageClassName: "standard", Size: resource.MustParse("1Gi")}}
	}
	return c
}

func credential(c *v1alpha1.Connection) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Spec.Credential.Secret.Name}, Type: v1alpha1.SecretTypeCredential,
		StringData: map[string]string{"username": "u", "password": "canary", "connection": c.Name, "addresses": "db." + c.Namespace + ".svc:5432"},
	}
}

// session is an AuditSession as a proxy of a Connection makes it.
func session(namespace, connection, name string) *v1alpha1.AuditSession {
	return &v1alpha1.AuditSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"doorward.dev/connection": connection}},
		Spec: v1alpha1.AuditSessionSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: connection}, ClientAddress: "192.0.2.1:5000",
			ProxyInstance: connection + "-1", StartedAt: metav1.Now(),
			Actor: v1alpha1.Actor{
				Issuer: "https://login.example.org", Subject: "carol", Username: "carol", Kind: v1alpha1.ActorHuman,
				IdentityProvider: "company", AuthenticationMethod: "oidc",
			},
		},
	}
}

// request is an ApprovalRequest as a proxy of a Connection makes it.
func request(namespace, connection, digest string) *v1alpha1.ApprovalRequest {
	return &v1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: connection + "-"},
		Spec: v1alpha1.ApprovalRequestSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: connection}, Scope: v1alpha1.ApprovalScopeOperation,
			Requester: v1alpha1.Requester{Issuer: "https://login.example.org", Subject: "1", Username: "carol", Groups: []string{"analysts"}},
			Operation: v1alpha1.HeldOperation{
				Digest: "sha256:" + strings.Repeat(digest, 64), Statement: "UPDATE t SET a = 1 WHERE id = 7", Truncation: v1alpha1.TruncationNone,
				Accesses: []v1alpha1.Access{{Action: "update", Resource: "public.t"}},
			},
			Holder: v1alpha1.Holder{ProxyInstance: connection + "-1", Session: "s", Nonce: strings.Repeat("0", 64)},
			Binding: v1alpha1.Binding{
				ConnectionUID: "4f2d1c0b-9a8e-4d7c-8b6a-5f4e3d2c1b0a", ConnectionGeneration: 1,
				Policies: []v1alpha1.BoundRule{{Name: "p", UID: "0c9b8a7f-6e5d-4c3b-8a29-181706f5e4d3", Generation: 1, Rule: "r"}},
			},
			Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}}, MinimumApprovals: 1,
			ExpiresAt: metav1.NewTime(time.Now().Add(time.Hour)), Decisions: []v1alpha1.Decision{},
		},
	}
}
