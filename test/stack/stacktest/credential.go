// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stacktest

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/test/stack"
)

// Portal issues gateway credentials in the manager's place.
type Portal struct {
	world     *stack.Stack
	authority *gateway.Authority
	manager   client.Client
}

// NewPortal has the people's provider issue gateway credentials until the test ends.
func NewPortal(t *testing.T, world *stack.Stack) *Portal {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Must(t, err)
	p := &Portal{world: world}
	p.authority, err = gateway.NewAuthority(key)
	Must(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	Must(t, err)
	keys := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.OperatorNamespace, Name: compile.LoginKeysName},
		Data:       map[string]string{compile.LoginKeysKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))},
	}
	Must(t, world.Admin.Create(t.Context(), keys))
	idp := p.provider(t)
	Change(t, world, idp, func(p *v1alpha1.IdentityProvider) { p.Spec.Login = &v1alpha1.LoginSettings{LifetimeSeconds: 3600} })
	t.Cleanup(func() {
		Change(t, world, idp, func(p *v1alpha1.IdentityProvider) { p.Spec.Login = nil })
		_ = world.Admin.Delete(context.Background(), keys)
	})
	// Admission lets nobody else make and delete the objects.
	account := rest.CopyConfig(world.Control.Direct)
	account.Impersonate.UserName = "system:serviceaccount:" + stack.OperatorNamespace + ":doorward-manager"
	p.manager, err = stack.NewClient(account)
	Must(t, err)
	return p
}

// provider is the IdentityProvider of the people.
func (p *Portal) provider(t *testing.T) *v1alpha1.IdentityProvider {
	t.Helper()
	var all v1alpha1.IdentityProviderList
	Must(t, p.world.Admin.List(t.Context(), &all))
	for i := range all.Items {
		if of := all.Items[i].Spec.Issuer(); of != nil && of.URL == p.world.Issuer.URL {
			return &all.Items[i]
		}
	}
	t.Fatal("no IdentityProvider is of the stack's issuer")
	return nil
}

// Issue makes a credential for somebody who proves himself by a token, and the object of it
// until the test ends. What it returns connects to the proxy with the credential, as a token or
// as a certificate.
func (p *Portal) Issue(t *testing.T, proxy *stack.Proxy, who issuer.Request, form v1alpha1.GatewayCredentialForm) (*v1alpha1.GatewayCredential, *pgconn.Config) {
	t.Helper()
	config, err := p.world.Config(proxy, who)
	Must(t, err)
	statement, credential := p.state(t, who, form)
	config.Password = ""
	if form == v1alpha1.GatewayCredentialToken {
		config.Password, err = p.authority.Token(statement)
		Must(t, err)
	} else {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		Must(t, err)
		der, err := p.authority.Certificate(statement, &key.PublicKey, who.User)
		Must(t, err)
		config.TLSConfig.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
		credential.Spec.PublicKeyDigest = "sha256:" + strings.Repeat("0", 64)
	}
	p.keep(t, credential)
	return credential, config
}

// IssueSSH makes an SSH certificate for somebody who proves himself by a token, and the object
// of it until the test ends. It returns the file of the key, for "ssh -i"; the certificate is
// beside it.
func (p *Portal) IssueSSH(t *testing.T, who issuer.Request) (credential *v1alpha1.GatewayCredential, identityFile string) {
	t.Helper()
	statement, credential := p.state(t, who, v1alpha1.GatewayCredentialSSHCertificate)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	Must(t, err)
	key, err := ssh.NewPublicKey(public)
	Must(t, err)
	certificate, err := p.authority.SSHCertificate(statement, key, []string{who.User})
	Must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	Must(t, err)
	identityFile = filepath.Join(t.TempDir(), "doorward")
	Must(t, os.WriteFile(identityFile, pem.EncodeToMemory(block), 0o600))
	Must(t, os.WriteFile(identityFile+"-cert.pub", ssh.MarshalAuthorizedKey(certificate), 0o600))
	sum := sha256.Sum256(key.Marshal())
	credential.Spec.PublicKeyDigest = "sha256:" + hex.EncodeToString(sum[:])
	p.keep(t, credential)
	return credential, identityFile
}

// state is what a credential of somebody says, and the object of it.
func (p *Portal) state(t *testing.T, who issuer.Request, form v1alpha1.GatewayCredentialForm) (gateway.Statement, *v1alpha1.GatewayCredential) {
	t.Helper()
	token, err := p.world.Issuer.TokenFor(who)
	Must(t, err)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	Must(t, err)
	var id [16]byte
	_, _ = rand.Read(id[:])
	now := time.Now().Truncate(time.Second)
	idp := p.provider(t)
	statement := gateway.Statement{ID: hex.EncodeToString(id[:]), Provider: idp.Name, Proof: identity.ProofID("test", who.User), Claims: json.RawMessage(payload), IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
	return statement, &v1alpha1.GatewayCredential{
		ObjectMeta: metav1.ObjectMeta{Name: statement.ID},
		Spec: v1alpha1.GatewayCredentialSpec{
			Form: form, IdentityProvider: idp.Name, ExpiresAt: metav1.NewTime(statement.ExpiresAt),
			Owner: v1alpha1.CredentialOwner{Issuer: p.world.Issuer.URL, Subject: who.User, Username: who.User},
		},
	}
}

// keep makes the object of a credential until the test ends.
func (p *Portal) keep(t *testing.T, credential *v1alpha1.GatewayCredential) {
	t.Helper()
	Must(t, p.manager.Create(t.Context(), credential))
	t.Cleanup(func() { _ = p.manager.Delete(context.Background(), credential) })
}

// Revoke revokes a credential, and returns when the API server had accepted it.
func (p *Portal) Revoke(t *testing.T, credential *v1alpha1.GatewayCredential, reason string) time.Time {
	t.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"revoke":{"reason":"`+reason+`"}}}`))
	Must(t, p.world.Admin.Patch(t.Context(), credential, patch))
	return time.Now()
}
