// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/upstream"
	"github.com/doorward/doorward/test/sshhost"
	"github.com/doorward/doorward/test/testcert"
)

func credentialData(password string) map[string][]byte {
	return map[string][]byte{
		v1alpha1.CredentialKeyUsername: []byte("app"), v1alpha1.CredentialKeyPassword: []byte(password),
		v1alpha1.CredentialKeyConnection: []byte(connectionName), v1alpha1.CredentialKeyAddresses: []byte("db.example:5432\n"),
	}
}

func (s *site) deleteSecret(name string) {
	s.t.Helper()
	must(s.t, s.core.CoreV1().Secrets(s.namespace).Delete(s.t.Context(), name, metav1.DeleteOptions{}))
}

func TestCredentials(t *testing.T) {
	s := newSite(t)
	problems := NewProblems()
	base := s.snapshot(1)
	var c *Credentials
	c = NewCredentials(s.proxy, func() { _ = CheckCredential(c, &base, problems) })
	use := upstream.Use{Namespace: s.namespace, Name: connectionName, Target: upstream.Target{Host: "db.example", Port: 5432}}
	if _, err := c.Get(t.Context(), use); err == nil {
		t.Error("a credential came from nowhere")
	}
	run(t, c.Run)
	c.Applied(&base)
	reason := func() string {
		for _, p := range problems.List() {
			if p.Type == v1alpha1.ConditionCredentialAvailable {
				return p.Reason
			}
		}
		return ""
	}
	password := func() string {
		secret, err := c.Get(t.Context(), use)
		if err != nil {
			return ""
		}
		return secret.Password.Reveal()
	}
	eventually(t, "a missing Secret is reported", func() bool { return reason() == v1alpha1.ReasonSecretNotFound })
	s.put("db", corev1.SecretTypeOpaque, credentialData("one"))
	eventually(t, "a wrong type is reported", func() bool { return reason() == v1alpha1.ReasonWrongSecretType })
	s.deleteSecret("db")
	lacking := credentialData("one")
	delete(lacking, v1alpha1.CredentialKeyPassword)
	s.put("db", v1alpha1.SecretTypeCredential, lacking)
	eventually(t, "a missing key is reported", func() bool { return reason() == v1alpha1.ReasonCredentialRejected })
	s.put("db", v1alpha1.SecretTypeCredential, credentialData("one"))
	eventually(t, "the credential", func() bool { return password() == "one" && reason() == "" })
	s.put("db", v1alpha1.SecretTypeCredential, credentialData("two"))
	eventually(t, "the rotated one", func() bool { return password() == "two" })
	// Whoever can only write Connections cannot send it elsewhere.
	for _, other := range []upstream.Use{
		{Namespace: s.namespace, Name: "other", Target: use.Target},
		{Namespace: s.namespace, Name: connectionName, Target: upstream.Target{Host: "evil.example", Port: 5432}},
	} {
		if _, err := c.Get(t.Context(), other); !errors.Is(err, upstream.ErrCredentialMisuse) {
			t.Errorf("Get(%+v) = %v, want %v", other, err, upstream.ErrCredentialMisuse)
		}
	}
	// The API server is away: the last one stays.
	must(t, env.CloseAPI())
	if password() != "two" {
		t.Error("the credential is gone with the API server")
	}
	must(t, env.Resume())
	s.deleteSecret("db")
	eventually(t, "a deleted Secret gives none", func() bool { return password() == "" && reason() == v1alpha1.ReasonSecretNotFound })
	// checklist 49: nothing prints it.
	s.put("db", v1alpha1.SecretTypeCredential, credentialData("canary-password"))
	eventually(t, "the canary", func() bool { return password() == "canary-password" })
	secret, err := c.Get(t.Context(), use)
	must(t, err)
	if shown := fmt.Sprintf("%+v %#v %v %+v %#v", secret, secret, c.keys, *c.keys, *c.keys); strings.Contains(shown, "canary-password") {
		t.Errorf("the password prints: %s", shown)
	}
}

func TestServingCertificate(t *testing.T) {
	s := newSite(t)
	c := &ServingCertificate{Client: s.proxy, Namespace: s.namespace, Name: connectionName, Problems: NewProblems()}
	if _, err := c.Certificate(); err == nil {
		t.Error("a certificate came from nowhere")
	}
	run(t, c.Run)
	eventually(t, "the missing one is reported", func() bool { return len(c.Problems.List()) == 1 })
	ca, err := testcert.NewCA("test")
	must(t, err)
	issue := func() map[string][]byte {
		pair, err := ca.Issue(testcert.Request{CommonName: "shop"})
		must(t, err)
		return map[string][]byte{corev1.TLSCertKey: pair.CertPEM, corev1.TLSPrivateKeyKey: pair.KeyPEM}
	}
	s.put(servingSecret(connectionName), corev1.SecretTypeTLS, issue())
	eventually(t, "the certificate", func() bool { _, err := c.Certificate(); return err == nil })
	first, err := c.Certificate()
	must(t, err)
	s.put(servingSecret(connectionName), corev1.SecretTypeTLS, issue())
	eventually(t, "the renewed one", func() bool { next, err := c.Certificate(); return err == nil && next != first })
	s.deleteSecret(servingSecret(connectionName))
	eventually(t, "the deletion is reported", func() bool { return len(c.Problems.List()) == 1 })
	if _, err := c.Certificate(); err != nil {
		t.Errorf("the former certificate is gone: %v", err)
	}
}

// TestServingHostKeys: proxies of all replicas show the host keys of the serving Secret, and
// report where a protocol that uses them finds none.
func TestServingHostKeys(t *testing.T) {
	s := newSite(t)
	var needed atomic.Bool
	c := &ServingCertificate{Client: s.proxy, Namespace: s.namespace, Name: connectionName, Problems: NewProblems(), NeedHostKeys: needed.Load}
	c.Report()
	if problems := c.Problems.List(); len(problems) != 0 {
		t.Errorf("reported before anything was looked at: %v", problems)
	}
	if _, err := c.HostKeys(); err == nil {
		t.Error("host keys came from nowhere")
	}
	ca, err := testcert.NewCA("test")
	must(t, err)
	pair, err := ca.Issue(testcert.Request{CommonName: "shop"})
	must(t, err)
	data := map[string][]byte{corev1.TLSCertKey: pair.CertPEM, corev1.TLSPrivateKeyKey: pair.KeyPEM}
	s.put(servingSecret(connectionName), corev1.SecretTypeTLS, data)
	run(t, c.Run)
	eventually(t, "the certificate", func() bool { _, err := c.Certificate(); return err == nil })
	if problems := c.Problems.List(); len(problems) != 0 {
		t.Errorf("host keys that nobody needs are missed: %v", problems)
	}
	needed.Store(true)
	c.Report()
	if problems := c.Problems.List(); len(problems) != 1 || !strings.Contains(problems[0].Message, "ssh-host-key") {
		t.Errorf("missing host keys: %v", problems)
	}
	authority, key := sshhost.NewAuthority(t), sshhost.Key(t)
	data["ssh-host-key"], data["ssh-host-cert"] = key, authority.Certify(t, key, "localhost")
	s.put(servingSecret(connectionName), corev1.SecretTypeTLS, data)
	eventually(t, "the host keys", func() bool { _, err := c.HostKeys(); return err == nil })
	eventually(t, "the problem is over", func() bool { return len(c.Problems.List()) == 0 })
	first, err := c.HostKeys()
	must(t, err)
	data["ssh-host-cert"] = []byte("torn")
	s.put(servingSecret(connectionName), corev1.SecretTypeTLS, data)
	eventually(t, "a torn one is reported", func() bool { return len(c.Problems.List()) == 1 })
	if now, err := c.HostKeys(); err != nil || now[0] != first[0] {
		t.Errorf("the former host keys are gone: %v", err)
	}
}

func (s *site) reporter(nonce string) *Reporter {
	return &Reporter{
		Client: s.proxy, Namespace: s.namespace, Name: connectionName, Instance: "proxy-0", Nonce: nonce,
		Address: "192.0.2.1:5432", Revision: func() int64 { return 7 }, Problems: NewProblems(), Log: s.log,
	}
}

// reported is the report under the tests' instance id, if there is one.
func (s *site) reported() (report.Report, bool) {
	s.t.Helper()
	reports, err := s.core.CoreV1().ConfigMaps(s.namespace).Get(context.Background(), report.ConfigMapName(connectionName), metav1.GetOptions{})
	must(s.t, err)
	text, found := reports.Data["proxy-0"]
	if !found {
		return report.Report{}, false
	}
	r, err := report.Decode("proxy-0", text)
	must(s.t, err)
	return r, true
}

func TestReporter(t *testing.T) {
	s := newSite(t)
	r := s.reporter("one")
	must(t, r.Claim(t.Context()))
	stop := run(t, r.Run)
	eventually(t, "the report", func() bool { got, found := s.reported(); return found && got.Revision == 7 && got.Nonce == "one" })
	r.Problems.Set(v1alpha1.ConditionCredentialAvailable, v1alpha1.ReasonSecretNotFound, "no Secret")
	eventually(t, "the problem", func() bool { got, _ := s.reported(); return len(got.Problems) == 1 })
	r.Problems.Clear(v1alpha1.ConditionCredentialAvailable)
	eventually(t, "its end", func() bool { got, _ := s.reported(); return len(got.Problems) == 0 })

	// Two live instances with one id: the second is refused, a restart of the first is not.
	if err := s.reporter("two").Claim(t.Context()); !errors.Is(err, ErrDuplicateInstance) {
		t.Errorf("Claim() of a second = %v, want %v", err, ErrDuplicateInstance)
	}
	must(t, s.reporter("one").Claim(t.Context()))
	stop()
	if _, found := s.reported(); found {
		t.Error("the report stays after an orderly end")
	}
	must(t, s.reporter("two").Claim(t.Context()))

	// A stale report of another is nobody's.
	old, err := report.Encode(report.Report{Instance: "proxy-0", Nonce: "gone", ObservedAt: time.Now().Add(-2 * report.StaleAfter)})
	must(t, err)
	must(t, s.reporter("two").patch(t.Context(), "", &old))
	must(t, s.reporter("three").Claim(t.Context()))
}

func TestSimultaneousClaims(t *testing.T) {
	s := newSite(t)
	results := make(chan error, 4)
	for i := range 4 {
		go func() { results <- s.reporter(fmt.Sprint(i)).Claim(t.Context()) }()
	}
	var won int
	for range 4 {
		switch err := <-results; {
		case err == nil:
			won++
		case !errors.Is(err, ErrDuplicateInstance):
			t.Errorf("Claim() = %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d instances have the id, want one", won)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	p := NewProblems()
	p.Set("A", "B", strings.Repeat("ä", 10_000))
	if got := p.List()[0].Message; len(got) > maxProblemMessage || !strings.HasPrefix(got, "ää") {
		t.Errorf("message of %d bytes", len(got))
	}
	p.Set("A", "C", "x")
	p.Set("0", "B", "y")
	if got := p.List(); len(got) != 2 || !slices.IsSortedFunc(got, func(a, b report.Problem) int { return strings.Compare(a.Type, b.Type) }) {
		t.Errorf("problems: %+v", got)
	}
}

// shortToken is a token of the proxy's ServiceAccount.
func (s *site) shortToken() string {
	s.t.Helper()
	// The API server issues none shorter than ten minutes; renewal is asked for directly.
	seconds := int64(600)
	answer, err := s.core.CoreV1().ServiceAccounts(s.namespace).CreateToken(s.t.Context(), "doorward-"+connectionName,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	must(s.t, err)
	return answer.Status.Token
}

func TestTokenRenewal(t *testing.T) {
	for name, inFile := range map[string]bool{"TokenInKubeconfig": false, "TokenFile": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			dir := t.TempDir()
			path, file := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "token")
			first := s.shortToken()
			user := &clientcmdapi.AuthInfo{Token: first}
			if inFile {
				must(t, os.WriteFile(file, []byte(first), 0o600))
				user = &clientcmdapi.AuthInfo{TokenFile: file}
			}
			must(t, clientcmd.WriteToFile(clientcmdapi.Config{
				Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: env.Host(), CertificateAuthorityData: env.CAPEM()}},
				AuthInfos:      map[string]*clientcmdapi.AuthInfo{"proxy": user},
				Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c", AuthInfo: "proxy"}},
				CurrentContext: "c",
			}, path))
			config, token, err := LoadKubeconfig(path, s.log)
			must(t, err)
			client, err := NewClient(config, token.Wrap)
			must(t, err)
			defer client.Close()
			claims, err := claimsOf(token.current())
			must(t, err)
			if claims.namespace != s.namespace || claims.account != "doorward-"+connectionName || !claims.due().Before(claims.expires()) {
				t.Errorf("claims: %+v", claims)
			}
			must(t, token.renew(t.Context(), client, claims))
			if token.current() == first {
				t.Error("the token is the same")
			}
			// What is on disk is the new one, for the owner only, and works.
			_, again, err := LoadKubeconfig(path, s.log)
			must(t, err)
			if again.current() != token.current() {
				t.Error("the renewed token is not on disk")
			}
			written := path
			if inFile {
				written = file
			}
			info, err := os.Stat(written)
			must(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("mode %#o, want 0600", info.Mode().Perm())
			}
			// A proxy that is enrolled anew while it runs takes the new token.
			token.value = "expired"
			if !token.changed() || token.current() != again.current() || token.changed() {
				t.Error("the token on disk was not taken")
			}
			_, err = client.configMaps(s.namespace).Get(t.Context(), report.ConfigMapName(connectionName), metav1.GetOptions{})
			must(t, err)
		})
	}
}

func TestTokenOfNobody(t *testing.T) {
	for name, token := range map[string]string{
		"Empty": "", "NoToken": "abc", "NoPayload": "a.!.c", "NoAccount": "a.eyJzdWIiOiJqYW5lIiwiaWF0IjoxLCJleHAiOjJ9.c",
	} {
		if _, err := claimsOf(token); !errors.Is(err, errNoServiceAccount) {
			t.Errorf("%s: %v, want %v", name, err, errNoServiceAccount)
		}
	}
	// A token of nobody is used until it ends; its renewal does not spin.
	(&Token{value: "abc", log: logr.Discard()}).Run(t.Context(), nil)
}
