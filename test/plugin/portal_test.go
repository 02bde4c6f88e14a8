// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/credentials"
	clilogin "github.com/doorward/doorward/cli/login"
	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/test/oidctest"
	"github.com/doorward/doorward/test/operator"
)

// TestPortal logs in at the manager's login portal, which has the manager's own rights and
// no more: by a browser, with certificates, by a device, and ends what came of it.
func TestPortal(t *testing.T) {
	authority := arrangePortal(t, map[string]any{"sub": "p1", "preferred_username": "paula"})
	address := "https://" + portal
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	caFile := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := env.AddUser(people["paula"].name)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := env.WriteKubeconfig("paula", config)
	if err != nil {
		t.Fatal(err)
	}

	certificate := filepath.Join(dir, "certificate")
	sshKey := filepath.Join(dir, "ssh", "doorward")
	out := logIn(t, authority, visit, "--portal", address, "--ca-file", caFile, "--no-browser", "--certificate", certificate, "--ssh-key", sshKey, "--provider", "portal")
	for _, want := range []string{"as paula, until ", "its fresh key in " + sshKey + ".", "\n  ssh -i " + sshKey + " -o IdentitiesOnly=yes -p PORT LOGIN+NAMESPACE/CONNECTION@HOST\n", "sslcert=" + filepath.Join(certificate, "tls.crt"), "user=paula"} {
		if !strings.Contains(out, want) {
			t.Errorf("login says %q, want %q", out, want)
		}
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(certificate, "tls.crt"), filepath.Join(certificate, "tls.key")); err != nil {
		t.Error(err)
	}
	for _, name := range []string{filepath.Join(certificate, "tls.crt"), filepath.Join(certificate, "tls.key"), sshKey, sshKey + ".pub", sshKey + "-cert.pub"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	first := readCertificate(t, sshKey)
	token, err := clilogin.Token(t.Context(), clilogin.Selection{})
	if err != nil || clilogin.User(token) != "paula" {
		t.Fatalf("the token is of %q: %v", clilogin.User(token), err)
	}

	// She may not list, so that she sees the login of this machine.
	listed, err := verb(t, credentials.NewCommand, "--kubeconfig", kubeconfig, "-o", "name")
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(strings.TrimSpace(listed), "gatewaycredential.doorward.dev/")
	if listed, err := verb(t, credentials.NewCommand, "--kubeconfig", kubeconfig); err != nil || !regexp.MustCompile(`(?m)^`+name+` +paula +portal +Token +Good +in `).MatchString(listed) {
		t.Errorf("credentials says %q, %v", listed, err)
	}
	if _, err := verb(t, credentials.NewCommand, "--kubeconfig", kubeconfig, "--all"); err == nil || !strings.Contains(err.Error(), "not permitted to list") {
		t.Errorf("those of everybody are for those who may list: %v", err)
	}
	if out, err := verb(t, credentials.NewCommand, "revoke", name, "--reason", "laptop lost", "--kubeconfig", kubeconfig); err != nil || !strings.Contains(out, "revoked (paula)") {
		t.Fatalf("revoke says %q, %v", out, err)
	}
	if out, err := verb(t, credentials.NewCommand, "revoke", name, "--reason", "again", "--kubeconfig", kubeconfig); err != nil || !strings.Contains(out, "revoked already by portal:paula: laptop lost") {
		t.Errorf("revoke says %q, %v", out, err)
	}
	// The manager revokes the certificates, which were made of it.
	err = wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		var all v1alpha1.GatewayCredentialList
		if err := admin.List(ctx, &all); err != nil {
			return false, err
		}
		ended := map[v1alpha1.GatewayCredentialForm]bool{}
		for _, one := range all.Items {
			if one.Spec.DerivedFrom == name && one.Spec.Revoke != nil && one.Spec.Revoke.Username == "system:serviceaccount:doorward-system:doorward-manager" {
				ended[one.Spec.Form] = true
			}
		}
		return ended[v1alpha1.GatewayCredentialClientCertificate] && ended[v1alpha1.GatewayCredentialSSHCertificate], nil
	})
	if err != nil {
		t.Errorf("the certificates outlast the token: %v", err)
	}

	// The key is there by now, and gets another certificate.
	out = logIn(t, authority, enter, "--portal", address, "--ca-file", caFile, "--device", "--ssh-key", sshKey+".pub")
	if !strings.Contains(out, "as paula, until ") || !strings.Contains(out, "its key in "+sshKey+".") {
		t.Errorf("login says %q", out)
	}
	if second := readCertificate(t, sshKey); second.Serial == first.Serial || !bytes.Equal(second.Key.Marshal(), first.Key.Marshal()) {
		t.Errorf("the certificate is of credential %s, and was of %s", second.KeyId, first.KeyId)
	}
	connectsBySSH(t)
	if out, err := verb(t, clilogin.NewLogout); err != nil || !strings.Contains(out, "kubectl doorward credentials revoke") {
		t.Errorf("logout says %q, %v", out, err)
	}
}

// connectsBySSH: the first connection by SSH asks the portal for a certificate, and others
// use the same until the login ends, which is listed with it.
func connectsBySSH(t *testing.T) {
	t.Helper()
	first, ok, err := clilogin.SSH(t.Context(), clilogin.Selection{})
	if err != nil || !ok {
		t.Fatalf("a login at the portal has a certificate: %v, %v", ok, err)
	}
	again, _, err := clilogin.SSH(t.Context(), clilogin.Selection{})
	if err != nil || again != first {
		t.Errorf("asked for again: credential %s after %s, %v", again.Credential, first.Credential, err)
	}
	key, err := ssh.ParsePrivateKey([]byte(first.Key))
	if err != nil {
		t.Fatal(err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(first.Certificate)) //nolint:dogsled // the key alone
	certificate, is := public.(*ssh.Certificate)
	if err != nil || !is || !bytes.Equal(certificate.Key.Marshal(), key.PublicKey().Marshal()) || !slices.Equal(certificate.ValidPrincipals, []string{"paula"}) {
		t.Errorf("no certificate of hers for the key: %s, %v", first.Certificate, err)
	}
	object := &v1alpha1.GatewayCredential{}
	if err := admin.Get(t.Context(), client.ObjectKey{Name: first.Credential}, object); err != nil || object.Spec.Form != v1alpha1.GatewayCredentialSSHCertificate {
		t.Errorf("the cluster knows it: %s, %v", object.Spec.Form, err)
	}
	if names, err := clilogin.Credentials(); err != nil || len(names) != 2 || names[1] != first.Credential {
		t.Errorf("the credentials of this machine are %q, %v", names, err)
	}
}

// readCertificate reads a key's certificate, and has ssh-keygen read it.
func readCertificate(t *testing.T, key string) *ssh.Certificate {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-L", "-f", key+"-cert.pub").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "user certificate") || !strings.Contains(string(out), "paula") {
		t.Errorf("ssh-keygen prints %s, %v", out, err)
	}
	text, err := os.ReadFile(key + "-cert.pub")
	if err != nil {
		t.Fatal(err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(text) //nolint:dogsled // the key alone
	certificate, is := public.(*ssh.Certificate)
	if err != nil || !is {
		t.Fatalf("no certificate: %s, %v", text, err)
	}
	return certificate
}

// verb runs one in this process.
func verb(t *testing.T, command func(genericiooptions.IOStreams) *cobra.Command, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := command(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out})
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// arrangePortal makes an issuer that proves one person, and its IdentityProvider, and waits
// until the portal serves for it. It returns the authorities of both.
func arrangePortal(t *testing.T, claims map[string]any) []byte {
	t.Helper()
	issuer, err := oidctest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := issuer.Close(); err != nil {
			t.Error(err)
		}
	})
	issuer.Allow(oidctest.Client{ID: "doorward-portal", Secret: "s3cret", Redirect: "https://" + portal + "/oidc/portal/callback", Claims: claims})
	objects := []client.Object{
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "portal-login", Namespace: operator.Namespace}, Type: v1alpha1.SecretTypeLogin,
			StringData: map[string]string{v1alpha1.LoginKeyClientSecret: "s3cret", v1alpha1.LoginKeyIssuer: issuer.URL()},
		},
		&v1alpha1.IdentityProvider{
			ObjectMeta: metav1.ObjectMeta{Name: "portal"},
			Spec: v1alpha1.IdentityProviderSpec{
				Type: v1alpha1.IdentityProviderOIDC,
				OIDC: &v1alpha1.OIDCProvider{
					Issuer:               v1alpha1.OIDCIssuer{URL: issuer.URL(), Audiences: []string{"doorward-portal"}, CertificateAuthority: string(issuer.CertificateAuthorityPEM)},
					ClaimMappings:        v1alpha1.ClaimMappings{Username: v1alpha1.PrefixedClaimMapping{Claim: "preferred_username", Prefix: new("")}},
					ClaimValidationRules: []v1alpha1.ClaimValidationRule{}, UserValidationRules: []v1alpha1.UserValidationRule{},
				},
				KubernetesUsername: &v1alpha1.KubernetesUsernameMapping{Prefix: "portal:"},
				Login: &v1alpha1.LoginSettings{
					LifetimeSeconds: 3600, ClientID: "doorward-portal", ClientSecretRef: v1alpha1.LoginSecretReference{Name: "portal-login"},
				},
			},
		},
	}
	for _, object := range objects {
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = admin.Delete(context.WithoutCancel(t.Context()), object) })
	}
	return trust(t, issuer)
}

// trust waits until the portal serves with a certificate of the manager's authority, and
// returns that with the issuer's.
func trust(t *testing.T, issuer *oidctest.Server) []byte {
	t.Helper()
	var pem []byte
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		var secret corev1.Secret
		if admin.Get(ctx, client.ObjectKey{Namespace: operator.Namespace, Name: ca.SecretName}, &secret) != nil {
			return false, nil //nolint:nilerr // not yet
		}
		if admin.Get(ctx, client.ObjectKey{Namespace: operator.Namespace, Name: compile.LoginKeysName}, &corev1.ConfigMap{}) != nil {
			return false, nil //nolint:nilerr // not yet
		}
		pem = append(bytes.Clone(secret.Data["tls.crt"]), issuer.CertificateAuthorityPEM...)
		page, err := person(pem).Get("https://" + portal + "/device")
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		text, err := io.ReadAll(page.Body)
		_ = page.Body.Close()
		// The portal knows the provider.
		return err == nil && strings.Contains(string(text), ">portal</button>"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pem
}

// person is a browser.
func person(authority []byte) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	return &http.Client{Jar: jar, Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}}
}

// logIn runs login while a person does what it says.
func logIn(t *testing.T, authority []byte, do func(*http.Client, *bufio.Reader) error, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		said := bufio.NewReader(read)
		err := do(person(authority), said)
		if err != nil {
			cancel() // nobody else logs in
		}
		_, _ = io.Copy(io.Discard, said)
		done <- err
	}()
	var out bytes.Buffer
	cmd := clilogin.NewLogin(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: write})
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(ctx)
	_ = write.Close()
	if person := <-done; err != nil || person != nil {
		t.Fatalf("login: %v; the person: %v", err, person)
	}
	return out.String()
}

// visit opens the URL that login prints, and says yes.
func visit(c *http.Client, said *bufio.Reader) error {
	target, err := line(said, "https://")
	if err != nil {
		return err
	}
	page, err := c.Get(target)
	if err != nil {
		return err
	}
	return agree(c, page)
}

var userCode = regexp.MustCompile(`^[A-Z]{4}-[A-Z]{4}-[A-Z]{4}$`)

// enter types the code that login prints.
func enter(c *http.Client, said *bufio.Reader) error {
	for {
		text, err := said.ReadString('\n')
		if err != nil {
			return err
		}
		if code := strings.TrimSpace(text); userCode.MatchString(code) {
			page, err := c.PostForm("https://"+portal+"/device", url.Values{"user_code": {strings.ToLower(code)}, "provider": {"portal"}})
			if err != nil {
				return err
			}
			return agree(c, page)
		}
	}
}

func line(said *bufio.Reader, prefix string) (string, error) {
	for {
		text, err := said.ReadString('\n')
		if err != nil {
			return "", err
		}
		if text = strings.TrimSpace(text); strings.HasPrefix(text, prefix) {
			return text, nil
		}
	}
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// agree says yes on the page that asks.
func agree(c *http.Client, page *http.Response) error {
	text, err := io.ReadAll(page.Body)
	_ = page.Body.Close()
	if err != nil {
		return err
	}
	if page.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", page.Status, text)
	}
	form := url.Values{"decision": {"allow"}}
	for _, found := range hidden.FindAllStringSubmatch(string(text), -1) {
		form.Set(found[1], html.UnescapeString(found[2]))
	}
	answer, err := c.PostForm("https://"+portal+"/confirm", form)
	if err != nil {
		return err
	}
	if text, err = io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %w", answer.Status, text, err)
	}
	return answer.Body.Close()
}
