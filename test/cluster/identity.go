// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/doorward/doorward/test/testcert"
)

// apiPort is where kube-apiserver listens on the node.
const apiPort = "6443"

// identity is a component's user in the API server. The names are those to which Kubernetes
// binds its own roles.
type identity struct {
	file   string
	user   string
	groups []string
}

var (
	admin             = identity{file: "admin", user: "admin", groups: []string{"system:masters"}}
	nodeAdmin         = identity{file: "admin-inside", user: "admin", groups: []string{"system:masters"}}
	controllerManager = identity{file: "kube-controller-manager", user: "system:kube-controller-manager"}
	scheduler         = identity{file: "kube-scheduler", user: "system:kube-scheduler"}
	nodeProxy         = identity{file: "kube-proxy", user: "system:kube-proxy"}
	coreDNS           = identity{file: "coredns", user: "system:coredns"}
)

// kubelet is the identity of the node's kubelet.
func kubelet(node string) identity {
	return identity{file: "kubelet", user: "system:node:" + node, groups: []string{"system:nodes"}}
}

// kubeconfig writes <file>.kubeconfig of an identity for the API server at the address and
// returns its path.
func (c *Cluster) kubeconfig(who identity, address string) (string, error) {
	pair, err := c.ca.Issue(testcert.Request{CommonName: who.user, Groups: who.groups})
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.Dir, who.file+".kubeconfig")
	err = clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{c.Name: {
			Server: "https://" + address, CertificateAuthorityData: c.ca.PEM,
		}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{who.user: {
			ClientCertificateData: pair.CertPEM, ClientKeyData: pair.KeyPEM,
		}},
		Contexts:       map[string]*clientcmdapi.Context{c.Name: {Cluster: c.Name, AuthInfo: who.user}},
		CurrentContext: c.Name,
	}, path)
	if err != nil {
		return "", fmt.Errorf("cannot write a kubeconfig: %w", err)
	}
	return path, nil
}

// insideKubeconfig is [Cluster.kubeconfig] for what runs on the node.
func (c *Cluster) insideKubeconfig(who identity) (string, error) {
	return c.kubeconfig(who, net.JoinHostPort(nodeAddress, apiPort))
}

// RestConfig returns the configuration of a cluster admin (group system:masters) without a
// client-side rate limit.
func (h *Handle) RestConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", h.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("cannot read the cluster's kubeconfig: %w", err)
	}
	config.QPS = -1
	return config, nil
}

// Kubeconfig returns the path of an admin's kubeconfig that works from outside the node.
func (h *Handle) Kubeconfig() string { return h.path(admin.file + ".kubeconfig") }

// InsideKubeconfig returns the path of one that works on the node, see [Handle.Enter].
func (h *Handle) InsideKubeconfig() string { return h.path(nodeAdmin.file + ".kubeconfig") }

// httpClient returns an HTTP client inside the node's network that is the admin for servers
// of the cluster's authority.
func (c *Cluster) httpClient() (*http.Client, error) {
	pair, err := c.ca.Issue(testcert.Request{CommonName: admin.user, Groups: admin.groups})
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		return nil, fmt.Errorf("cannot use the admin's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.ca.PEM)
	return &http.Client{Transport: &http.Transport{
		DialContext: c.Dial,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{certificate},
		},
	}}, nil
}

// serving writes a server's certificate for the addresses and returns its files.
func (c *Cluster) serving(name string, names []string, addresses ...string) (certificate, key string, err error) {
	request := testcert.Request{CommonName: name, DNSNames: names}
	for _, address := range addresses {
		request.IPs = append(request.IPs, net.ParseIP(address))
	}
	pair, err := c.ca.Issue(request)
	if err != nil {
		return "", "", err
	}
	return pair.Write(c.Dir, name)
}

// write puts a file, mode 0600, into the node's folder and returns its path.
func (c *Cluster) write(name, content string) (string, error) {
	path := filepath.Join(c.Dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("cannot write the node's configuration: %w", err)
	}
	return path, nil
}

// Kubectl runs kubectl as the admin and returns what it printed on standard output.
func (h *Handle) Kubectl(ctx context.Context, args ...string) ([]byte, error) {
	return output(ctx, filepath.Join(h.Assets, "kubectl"), append([]string{"--kubeconfig=" + h.Kubeconfig()}, args...)...)
}
