// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testcert"
)

const (
	// portAttempts is how often a server is started on the port that it had.
	portAttempts = 3
	// saIssuer is the issuer, and the only audience, of service account tokens.
	saIssuer = "https://kubernetes.default.svc"
	// serviceRange is where the API server takes cluster IPs from; nothing routes them.
	serviceRange = "10.96.0.0/16"
)

// startReady starts a command and waits until it is ready; what does not become so is gone.
func startReady(ctx context.Context, command proc.Command, ready func(context.Context) error) (*proc.Process, error) {
	return proc.StartReady(ctx, command, startTimeout, ready)
}

// etcd is a running etcd.
type etcd struct {
	process  *proc.Process
	command  proc.Command
	endpoint string // URL of its client port
	peer     string // URL of its peer port
}

// etcdName is the name of etcd's only member.
const etcdName = "testenv"

func (s *etcd) stop() error { return s.process.Stop() }

func (s *etcd) ready() func(context.Context) error {
	return proc.Answers(http.DefaultClient, s.endpoint+"/health")
}

// startEtcd starts etcd with its data in a folder of dir.
func startEtcd(ctx context.Context, assets, dir string) (*etcd, error) {
	s := &etcd{}
	err := proc.OnFreePorts(ctx, 2, func(ports []int) (err error) {
		s.endpoint = "http://" + net.JoinHostPort(proc.Loopback, strconv.Itoa(ports[0]))
		s.peer = "http://" + net.JoinHostPort(proc.Loopback, strconv.Itoa(ports[1]))
		s.command = proc.Command{
			Path: filepath.Join(assets, "etcd"),
			Args: []string{
				"--name=" + etcdName,
				"--data-dir=" + etcdDir(dir),
				"--listen-client-urls=" + s.endpoint,
				"--advertise-client-urls=" + s.endpoint,
				"--listen-peer-urls=" + s.peer,
				"--initial-advertise-peer-urls=" + s.peer,
				"--initial-cluster=" + etcdName + "=" + s.peer,
				"--unsafe-no-fsync=true",
				"--log-level=warn",
			},
			Output: filepath.Join(dir, "etcd.log"),
		}
		s.process, err = startReady(ctx, s.command, s.ready())
		return err
	})
	return s, err
}

func etcdDir(dir string) string { return filepath.Join(dir, "etcd") }

// apiserver is a running kube-apiserver.
type apiserver struct {
	process  *proc.Process
	command  proc.Command
	address  string // host:port, past the forwarder
	auditLog string
	saKey    string // path of the key that signs service account tokens
}

func (s *apiserver) stop() error { return s.process.Stop() }

// startAPIServer starts kube-apiserver on the given etcd.
func startAPIServer(ctx context.Context, e *Env, etcd string, options Options) (*apiserver, error) {
	s := &apiserver{auditLog: filepath.Join(e.Dir, "audit.log"), saKey: filepath.Join(e.Dir, "service-account.key")}
	if err := testcert.WriteSigningKey(s.saKey); err != nil {
		return nil, err
	}
	serving, err := e.ca.Issue(testcert.Request{
		CommonName: "kube-apiserver",
		DNSNames:   []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPs:        []net.IP{net.ParseIP(proc.Loopback), net.IPv4(10, 96, 0, 1)},
	})
	if err != nil {
		return nil, err
	}
	certPath, keyPath, err := serving.Write(e.Dir, "apiserver")
	if err != nil {
		return nil, err
	}
	auditPolicy := options.AuditPolicy
	if auditPolicy == "" {
		auditPolicy = defaultAuditPolicy
	}
	files := map[string]string{"ca.crt": string(e.ca.PEM), "audit-policy.yaml": auditPolicy}
	if options.AuthenticationConfig != "" {
		files["authentication.yaml"] = options.AuthenticationConfig
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(e.Dir, name), []byte(content), 0o600); err != nil {
			return nil, fmt.Errorf("cannot write the API server's configuration: %w", err)
		}
	}
	args := []string{
		"--etcd-servers=" + etcd,
		"--bind-address=" + proc.Loopback,
		"--advertise-address=" + proc.Loopback,
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + certPath,
		"--tls-private-key-file=" + keyPath,
		"--client-ca-file=" + filepath.Join(e.Dir, "ca.crt"),
		"--authorization-mode=RBAC",
		"--service-cluster-ip-range=" + serviceRange,
		"--service-account-issuer=" + saIssuer,
		"--service-account-key-file=" + s.saKey,
		"--service-account-signing-key-file=" + s.saKey,
		"--audit-policy-file=" + filepath.Join(e.Dir, "audit-policy.yaml"),
		"--audit-log-path=" + s.auditLog,
		// Whoever has an answer must find its event in the file.
		"--audit-log-mode=blocking",
		"--allow-privileged=true",
		"--profiling=false",
	}
	if options.AuthenticationConfig != "" {
		args = append(args, "--authentication-config="+filepath.Join(e.Dir, "authentication.yaml"))
	}
	client, err := e.probeClient()
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	err = proc.OnFreePorts(ctx, 1, func(ports []int) (err error) {
		s.address = net.JoinHostPort(proc.Loopback, strconv.Itoa(ports[0]))
		s.command = proc.Command{
			Path:   filepath.Join(e.Assets, "kube-apiserver"),
			Args:   append(append(args, "--secure-port="+strconv.Itoa(ports[0])), options.APIServerArgs...),
			Output: filepath.Join(e.Dir, "kube-apiserver.log"),
		}
		s.process, err = startReady(ctx, s.command, proc.Answers(client, "https://"+s.address+"/readyz"))
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// startControllerManager starts kube-controller-manager as the admin; it does not go through
// the forwarder, because what it does must not depend on what a test does to that.
func (e *Env) startControllerManager(ctx context.Context, options Options) error {
	controllers := options.Controllers
	if len(controllers) == 0 {
		controllers = DefaultControllers
	}
	kubeconfig, err := e.WriteKubeconfig("kube-controller-manager", e.Direct)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		// Its own self-signed certificate, on loopback, for a health answer only.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	defer client.CloseIdleConnections()
	err = proc.OnFreePorts(ctx, 1, func(ports []int) (err error) {
		port := strconv.Itoa(ports[0])
		e.controllerManager, err = startReady(ctx, proc.Command{
			Path: filepath.Join(e.Assets, "kube-controller-manager"),
			Args: append([]string{
				"--kubeconfig=" + kubeconfig,
				"--bind-address=" + proc.Loopback,
				"--secure-port=" + port,
				"--leader-elect=false",
				"--controllers=" + strings.Join(controllers, ","),
				"--service-account-private-key-file=" + e.apiserver.saKey,
				"--root-ca-file=" + filepath.Join(e.Dir, "ca.crt"),
				"--use-service-account-credentials=true",
			}, options.ControllerManagerArgs...),
			Output: filepath.Join(e.Dir, "kube-controller-manager.log"),
		}, proc.Answers(client, "https://"+net.JoinHostPort(proc.Loopback, port)+"/healthz"))
		return err
	})
	if err != nil {
		return err
	}
	e.stops = append(e.stops, e.controllerManager.Stop)
	return nil
}

// probeClient returns an HTTP client that is the admin.
func (e *Env) probeClient() (*http.Client, error) {
	pair, err := e.ca.Issue(testcert.Request{CommonName: "testenv", Groups: []string{"system:masters"}})
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		return nil, fmt.Errorf("cannot use the admin's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(e.ca.PEM)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{certificate},
	}}}, nil
}
