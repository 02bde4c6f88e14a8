// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"fmt"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/doorward/doorward/test/testcert"
)

// tokenSeconds is the life of a service account token; the API server issues none below 600.
const tokenSeconds = 3600

// AddUser returns the configuration of a user the API server knows by a client certificate
// with this name and these groups. The user may do what RBAC gives them, so nothing at first.
func (e *Env) AddUser(name string, groups ...string) (*rest.Config, error) {
	pair, err := e.ca.Issue(testcert.Request{CommonName: name, Groups: groups})
	if err != nil {
		return nil, err
	}
	config := e.anonymous()
	config.CertData, config.KeyData = pair.CertPEM, pair.KeyPEM
	return config, nil
}

// TokenConfig returns the configuration of whoever bears the token, for instance one of an
// issuer in [Options.AuthenticationConfig].
func (e *Env) TokenConfig(token string) *rest.Config {
	config := e.anonymous()
	config.BearerToken = token
	return config
}

// ServiceAccountConfig returns the configuration of an existing ServiceAccount, with a token
// of one hour from the TokenRequest API.
func (e *Env) ServiceAccountConfig(ctx context.Context, namespace, name string) (*rest.Config, error) {
	client, err := kubernetes.NewForConfig(e.Direct)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client: %w", err)
	}
	seconds := int64(tokenSeconds)
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot get a token for ServiceAccount %q: %w", namespace+"/"+name, err)
	}
	return e.TokenConfig(token.Status.Token), nil
}

// WriteKubeconfig writes <name>.kubeconfig for a configuration of this control plane into
// [Env.Dir], mode 0600, and returns its path.
func (e *Env) WriteKubeconfig(name string, config *rest.Config) (string, error) {
	path := filepath.Join(e.Dir, name+".kubeconfig")
	const key = "testenv"
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{key: {
			Server: config.Host, CertificateAuthorityData: config.CAData,
		}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{name: {
			ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken,
		}},
		Contexts:       map[string]*clientcmdapi.Context{key: {Cluster: key, AuthInfo: name}},
		CurrentContext: key,
	}, path)
	if err != nil {
		return "", fmt.Errorf("cannot write a kubeconfig: %w", err)
	}
	return path, nil
}

// anonymous returns a configuration without any credential.
func (e *Env) anonymous() *rest.Config {
	return &rest.Config{
		Host:            "https://" + e.forwarder.Address(),
		TLSClientConfig: rest.TLSClientConfig{CAData: e.ca.PEM},
		QPS:             -1, // no client-side limit: a test waits for the server only
	}
}
