// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/doorward/doorward/test/pgtest"
)

// tourists are users of the API server, by certificates of its own, with their groups.
var tourists = map[string][]string{"alice": {"analysts"}, "bob": {"shop-leads"}, "sam": {"security"}}

// tour is testdata/tour: three people, who have kubectl with the plugin and psql, and
// nothing else.
func (s *site) tour(t *testing.T) {
	s.apply(t, s.manifest(t, "tour.yaml"))
	kubeconfigs := map[string]string{}
	for name, groups := range tourists {
		kubeconfigs[name] = s.user(t, name, groups)
	}
	token, err := s.issuer.token("alice", "analysts")
	if err != nil {
		t.Fatal(err)
	}
	tokenFile := s.write(t, "alice.token", token)
	bin, err := pgtest.BinDir()
	if err != nil {
		t.Fatal(err)
	}
	w := &walk{site: s, kubeconfigs: kubeconfigs, running: map[string]*running{}}
	await(t, "the rights of the tour", func(ctx context.Context) error {
		out, err := s.shell(ctx, kubeconfigs["sam"], "kubectl get auditsessions && kubectl auth can-i patch auditsessions")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	s.everywhere(t, "on-call")
	s.openPortal(t, "alice", "analysts")
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "tour"), RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", strings.Join([]string{s.plugins, s.Assets, bin, e.Getenv("PATH")}, string(os.PathListSeparator)))
			e.Setenv("TOKEN", tokenFile)
			e.Setenv("RECORDS", s.sink.dir)
			e.Setenv("PORTAL", s.portalURL())
			e.Setenv("CA", s.authorities())
			e.Setenv("KUBECACHEDIR", filepath.Join(e.WorkDir, ".kube"))
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, ".config"))
			e.Setenv("HOME", e.WorkDir)
			e.Defer(w.stop)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"as": w.as, "background": w.background, "printed": w.printed, "ended": w.ended, "said": w.said, "dead": w.dead, "soon": w.soon,
			"browser": w.browser, "credential": w.credential, "await-request": w.awaitRequest, "live-session": w.liveSession, "recorded": w.recorded,
		},
	})
}

// manifest reads a file of testdata.
func (s *site) manifest(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// user makes a user of the API server, as an admin would: a CertificateSigningRequest, and
// a kubeconfig with the certificate.
func (s *site) user(t *testing.T, name string, groups []string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request, requestErr := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "company:" + name, Organization: groups}}, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err = errors.Join(requestErr, err); err != nil {
		t.Fatal(err)
	}
	s.apply(t, fmt.Sprintf(`apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: %s}
spec:
  signerName: kubernetes.io/kube-apiserver-client
  usages: [client auth]
  request: %s
`, name, base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}))))
	s.kubectl(t, "certificate", "approve", name)
	var certificate []byte
	await(t, "the certificate of "+name, func(ctx context.Context) error {
		out, err := s.Kubectl(ctx, "get", "csr", name, "-o", "jsonpath={.status.certificate}")
		if err != nil {
			return err
		}
		if len(out) == 0 {
			return errors.New("it is not signed")
		}
		certificate, err = base64.StdEncoding.DecodeString(string(out))
		return err
	})
	admin, err := clientcmd.LoadFromFile(s.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, "user-"+name+".kubeconfig")
	if err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"cluster": admin.Clusters[admin.Contexts[admin.CurrentContext].Cluster]},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {ClientCertificateData: certificate, ClientKeyData: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: "cluster", AuthInfo: name, Namespace: namespace}},
		CurrentContext: name,
	}, path); err != nil {
		t.Fatal(err)
	}
	return path
}
