// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testcert"
)

// etcdURL is where etcd serves its clients on the node, etcdPeer its peers.
const (
	etcdURL  = "http://127.0.0.1:2379"
	etcdPeer = "http://127.0.0.1:2380"
)

// prepareControlPlane writes what the control plane reads and prepares its servers.
func (c *Cluster) prepareControlPlane(options Options) (err error) {
	if c.ca, err = testcert.NewCA("doorward-cluster"); err != nil {
		return err
	}
	authority, err := c.ca.Pair()
	if err != nil {
		return err
	}
	if _, _, err := authority.Write(c.Dir, "ca"); err != nil {
		return err
	}
	if c.client, err = c.httpClient(); err != nil {
		return err
	}
	if err := testcert.WriteSigningKey(c.path("service-account.key")); err != nil {
		return err
	}
	c.Etcd = c.newServer("etcd", proc.Answers(c.client, etcdURL+"/health"), c.etcdArgs(c.path("etcd"))...)
	arguments, err := c.apiServerArgs(options)
	if err != nil {
		return err
	}
	c.APIServer = c.newServer("kube-apiserver", proc.Answers(c.client, "https://"+net.JoinHostPort(nodeAddress, apiPort)+"/readyz"), arguments...)
	return c.prepareControllers()
}

// etcdArgs are etcd's arguments for data in the folder.
func (c *Cluster) etcdArgs(data string) []string {
	return []string{
		"--name=" + c.Name,
		"--data-dir=" + data,
		"--listen-client-urls=" + etcdURL,
		"--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=" + etcdPeer,
		"--initial-advertise-peer-urls=" + etcdPeer,
		"--initial-cluster=" + c.Name + "=" + etcdPeer,
		"--unsafe-no-fsync=true",
		"--log-level=warn",
	}
}

// apiServerArgs writes what kube-apiserver reads and returns its arguments.
func (c *Cluster) apiServerArgs(options Options) ([]string, error) {
	certificate, key, err := c.serving("kube-apiserver",
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + domain},
		proc.Loopback, nodeAddress, apiService)
	if err != nil {
		return nil, err
	}
	admission, err := c.configure("admission.yaml")
	if err != nil {
		return nil, err
	}
	client, err := c.ca.Issue(testcert.Request{CommonName: "kube-apiserver", Groups: admin.groups})
	if err != nil {
		return nil, err
	}
	clientCert, clientKey, err := client.Write(c.Dir, "kube-apiserver-client")
	if err != nil {
		return nil, err
	}
	arguments := []string{
		"--etcd-servers=" + etcdURL,
		"--secure-port=" + apiPort,
		"--advertise-address=" + nodeAddress,
		"--tls-cert-file=" + certificate,
		"--tls-private-key-file=" + key,
		"--client-ca-file=" + c.path("ca.crt"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--admission-control-config-file=" + admission,
		"--service-cluster-ip-range=" + serviceRange,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.path("service-account.key"),
		"--service-account-signing-key-file=" + c.path("service-account.key"),
		"--kubelet-certificate-authority=" + c.path("ca.crt"),
		"--kubelet-client-certificate=" + clientCert,
		"--kubelet-client-key=" + clientKey,
		// The node's name is in no DNS.
		"--kubelet-preferred-address-types=InternalIP",
		"--allow-privileged=false",
		"--profiling=false",
	}
	if options.AuditPolicy != "" {
		policy, err := c.write("audit-policy.yaml", options.AuditPolicy)
		if err != nil {
			return nil, err
		}
		// Whoever has an answer must find its event in the file.
		arguments = append(arguments, "--audit-policy-file="+policy, "--audit-log-path="+c.AuditLog(), "--audit-log-mode=blocking")
	}
	return append(arguments, options.APIServerArgs...), nil
}

// AuditLog returns the path of the API server's audit log, one JSON event per line; it is
// there with [Options.AuditPolicy] only.
func (c *Cluster) AuditLog() string { return c.path("audit.log") }

// prepareControllers prepares kube-controller-manager and kube-scheduler.
func (c *Cluster) prepareControllers() error {
	controllers, err := c.insideKubeconfig(controllerManager)
	if err != nil {
		return err
	}
	placing, err := c.insideKubeconfig(scheduler)
	if err != nil {
		return err
	}
	client := c.unverified()
	c.ControllerManager = c.newServer("kube-controller-manager", proc.Answers(client, "https://127.0.0.1:10257/healthz"),
		"--kubeconfig="+controllers,
		"--bind-address="+proc.Loopback,
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file="+c.path("service-account.key"),
		"--root-ca-file="+c.path("ca.crt"),
		"--cluster-signing-cert-file="+c.path("ca.crt"),
		"--cluster-signing-key-file="+c.path("ca.key"),
		// The default is a folder of the machine, which it would make.
		"--flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins",
		// A node that is lost is noticed within a test's patience.
		"--node-monitor-period=2s",
		"--node-monitor-grace-period=20s",
	)
	c.Scheduler = c.newServer("kube-scheduler", proc.Answers(client, "https://127.0.0.1:10259/healthz"),
		"--kubeconfig="+placing,
		"--bind-address="+proc.Loopback,
		"--leader-elect=false",
	)
	return nil
}

// unverified returns a client for health answers of servers inside the node that sign their
// own certificate.
func (c *Cluster) unverified() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:     c.Dial,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}

// path returns the path of a file in the node's folder.
func (h *Handle) path(name string) string { return filepath.Join(h.Dir, name) }

// startControlPlane starts etcd and kube-apiserver, and what outside clients reach it by.
func (c *Cluster) startControlPlane(ctx context.Context) error {
	if err := c.Etcd.Start(ctx); err != nil {
		return err
	}
	if err := c.APIServer.Start(ctx); err != nil {
		return err
	}
	filled, err := c.fill("objects.yaml")
	if err != nil {
		return err
	}
	path, err := c.write("objects.yaml", filled)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	_, err = c.Kubectl(ctx, "apply", "-f", path)
	return err
}
