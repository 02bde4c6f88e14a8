// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// portal issues gateway credentials in the manager's place.
func portal(t *testing.T) *gateway.Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	stacktest.Must(t, err)
	authority, err := gateway.NewAuthority(key)
	stacktest.Must(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	stacktest.Must(t, err)
	keys := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.OperatorNamespace, Name: compile.LoginKeysName},
		Data:       map[string]string{compile.LoginKeysKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))},
	}
	stacktest.Must(t, world.Admin.Create(t.Context(), keys))
	idp := corp(t)
	change(t, idp, func(p *v1alpha1.IdentityProvider) { p.Spec.Login = &v1alpha1.LoginSettings{LifetimeSeconds: 3600} })
	t.Cleanup(func() {
		change(t, idp, func(p *v1alpha1.IdentityProvider) { p.Spec.Login = nil })
		_ = world.Admin.Delete(context.Background(), keys)
	})
	return authority
}

// corp is the IdentityProvider of the people.
func corp(t *testing.T) *v1alpha1.IdentityProvider {
	t.Helper()
	var all v1alpha1.IdentityProviderList
	stacktest.Must(t, world.Admin.List(t.Context(), &all))
	for i := range all.Items {
		if issuer := all.Items[i].Spec.Issuer(); issuer != nil && issuer.URL == world.Issuer.URL {
			return &all.Items[i]
		}
	}
	t.Fatal("no IdentityProvider is of the stack's issuer")
	return nil
}

// issue makes a credential for somebody who proves himself by a token, and the object of
// it. What it returns connects with the credential, as a token or as a certificate.
func issue(t *testing.T, authority *gateway.Authority, who caller, form v1alpha1.GatewayCredentialForm) (*v1alpha1.GatewayCredential, *pgconn.Config) {
	t.Helper()
	config, err := world.Config(world.Proxy(), who)
	stacktest.Must(t, err)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(config.Password, ".")[1])
	stacktest.Must(t, err)
	var id [16]byte
	_, _ = rand.Read(id[:])
	now := time.Now().Truncate(time.Second)
	idp := corp(t)
	statement := gateway.Statement{ID: hex.EncodeToString(id[:]), Provider: idp.Name, Proof: identity.ProofID("test", who.User), Claims: json.RawMessage(payload), IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
	credential := &v1alpha1.GatewayCredential{
		ObjectMeta: metav1.ObjectMeta{Name: statement.ID},
		Spec: v1alpha1.GatewayCredentialSpec{
			Form: form, IdentityProvider: idp.Name, ExpiresAt: metav1.NewTime(statement.ExpiresAt),
			Owner: v1alpha1.CredentialOwner{Issuer: world.Issuer.URL, Subject: who.User, Username: who.User},
		},
	}
	config.Password = ""
	if form == v1alpha1.GatewayCredentialToken {
		config.Password, err = authority.Token(statement)
		stacktest.Must(t, err)
	} else {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		stacktest.Must(t, err)
		der, err := authority.Certificate(statement, &key.PublicKey, who.User)
		stacktest.Must(t, err)
		config.TLSConfig.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
		credential.Spec.PublicKeyDigest = "sha256:" + strings.Repeat("0", 64)
	}
	// Admission lets nobody else make and delete them.
	account := rest.CopyConfig(world.Control.Direct)
	account.Impersonate.UserName = "system:serviceaccount:" + stack.OperatorNamespace + ":doorward-manager"
	manager, err := stack.NewClient(account)
	stacktest.Must(t, err)
	stacktest.Must(t, manager.Create(t.Context(), credential))
	t.Cleanup(func() { _ = manager.Delete(context.Background(), credential) })
	return credential, config
}

// TestGatewayCredentialRevoked revokes credentials and measures from the API server's
// acceptance to the end of the live session (promise 8; checklist 36). Nobody is let in by
// them afterwards.
func TestGatewayCredentialRevoked(t *testing.T) {
	authority := portal(t)
	givePolicy(t, stack.Policy("credentials", stack.Users("olga"), talk, readOrders))
	await(t, "a proxy that takes credentials", func(ctx context.Context) error {
		_, config := issue(t, authority, caller{User: "olga"}, v1alpha1.GatewayCredentialToken)
		conn, err := pgconn.ConnectConfig(ctx, config)
		if err == nil {
			_ = conn.Close(ctx)
		}
		return err
	})
	for _, form := range []v1alpha1.GatewayCredentialForm{v1alpha1.GatewayCredentialToken, v1alpha1.GatewayCredentialClientCertificate} {
		t.Run(string(form), func(t *testing.T) {
			var took []time.Duration
			for i := range repetitions {
				credential, config := issue(t, authority, caller{User: "olga"}, form)
				conn, err := pgconn.ConnectConfig(t.Context(), config)
				stacktest.Must(t, err)
				ended := make(chan outcome, 1)
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), stacktest.Timeout)
					defer cancel()
					err := conn.WaitForNotification(ctx)
					ended <- outcome{err: err, at: time.Now()}
				}()
				reason := fmt.Sprintf("lost %d", i)
				patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"revoke":{"reason":"`+reason+`"}}}`))
				stacktest.Must(t, world.Admin.Patch(t.Context(), credential, patch))
				accepted := time.Now()
				end := <-ended
				var said *pgconn.PgError
				if !errors.As(end.err, &said) {
					t.Fatalf("the session did not end with an ErrorResponse: %v", end.err)
				}
				wants(t, said, codeAdminShutdown, "was revoked: "+reason)
				took = append(took, max(0, end.at.Sub(accepted)))
				if _, err := pgconn.ConnectConfig(t.Context(), config); !errors.As(err, &said) || !strings.Contains(said.Message, "was revoked: "+reason) {
					t.Errorf("who comes back is told %v", err)
				}
			}
			report(t, took)
		})
	}
}
