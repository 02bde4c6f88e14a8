// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/tls"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/doorward/doorward/test/oidctest"
)

// issuer is the people's identity provider, on the node.
type issuer struct {
	*oidctest.Issuer
	ca []byte
}

func startIssuer(t *testing.T, s *site) *issuer {
	t.Helper()
	listener, err := s.Listen(t.Context(), "tcp", net.JoinHostPort(s.NodeAddress(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := oidctest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{}
	if i.Issuer, err = oidctest.New("https://"+listener.Addr().String(), key); err != nil {
		t.Fatal(err)
	}
	authority, err := oidctest.NewAuthority("the company's issuer")
	if err != nil {
		t.Fatal(err)
	}
	i.ca = authority.CertificatePEM()
	certificate, err := authority.Issue(s.NodeAddress())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: i.Issuer, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() {
		done <- server.Serve(tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}))
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return i
}

// token makes a token for a person with groups.
func (i *issuer) token(user string, groups ...string) (string, error) {
	return i.Token(map[string]any{
		"sub": user, "preferred_username": user, "groups": groups, "tenant": "shop",
		"aud": "doorward", "exp": time.Now().Add(2 * time.Hour).Unix(),
	})
}

// person is the kubeconfig of somebody whom the API server knows by the name
// that the IdentityProvider maps them to. The admin lends them the way in.
func (s *site) person(t *testing.T, user string, groups ...string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(s.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range config.AuthInfos {
		info.Impersonate, info.ImpersonateGroups = "company:"+user, slices.Concat(groups, []string{"system:authenticated"})
	}
	path := filepath.Join(s.dir, "person-"+user+".kubeconfig")
	if err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: config.Clusters, AuthInfos: config.AuthInfos, Contexts: config.Contexts, CurrentContext: config.CurrentContext,
	}, path); err != nil {
		t.Fatal(err)
	}
	return path
}
