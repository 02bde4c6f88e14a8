// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/test/cluster/images"
	"github.com/doorward/doorward/test/pgtest"
)

// clients is the namespace of the people's pods.
const clients = "office"

func endpointOf(connection string) string { return "doorward-" + connection + "." + namespace + ".svc" }

// authorities is the file of the manager's authorities, for clients on this machine.
func (s *site) authorities() string { return filepath.Join(s.dir, "ca.crt") }

// trust fetches the manager's authorities.
func (s *site) trust(ctx context.Context) (content string, err error) {
	var bundle corev1.ConfigMap
	if err := s.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: bundleName}, &bundle); err != nil {
		return "", fmt.Errorf("cannot read the trust bundle: %w", err)
	}
	content = bundle.Data["ca.crt"]
	return content, os.WriteFile(s.authorities(), []byte(content), 0o600)
}

// workplace makes a pod with psql, which a person's statements are run in.
func (s *site) workplace(t *testing.T) {
	t.Helper()
	content, err := s.trust(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.apply(t, fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: authorities, namespace: %[1]s}
data:
  ca.crt: |
%[2]s
---
apiVersion: v1
kind: Pod
metadata: {name: desk, namespace: %[1]s}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: psql
    image: %[3]s
    imagePullPolicy: Never
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: authorities, mountPath: /etc/authorities}]
  volumes: [{name: authorities, configMap: {name: authorities}}]
`, clients, indent([]byte(content), 4), images.ClientName))
	s.kubectl(t, "-n", clients, "wait", "--for=condition=Ready", "--timeout=120s", "pod/desk")
}

// inPod runs one statement with psql in the pod; the output has both streams.
func (s *site) inPod(t *testing.T, connection, token, statement string) (string, error) {
	t.Helper()
	dsn := fmt.Sprintf("host=%s.cluster.local port=5432 dbname=%s user=x sslmode=verify-full sslrootcert=/etc/authorities/ca.crt", endpointOf(connection), database)
	out, err := s.Kubectl(t.Context(), "-n", clients, "exec", "desk", "--", "/client", "PGPASSWORD="+token, "psql", "-X", "-w", "-A", "-t", "-c", statement, dsn)
	if err != nil {
		return string(out) + err.Error(), err
	}
	return string(out), nil
}

// outside is the port that a NodePort Service gives a Connection.
func (s *site) outside(t *testing.T, connection string) (port string) {
	t.Helper()
	name := connection + "-outside"
	s.apply(t, fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: %s, namespace: %s}
spec:
  type: NodePort
  selector: {app.kubernetes.io/component: proxy, doorward.dev/connection: %s}
  ports: [{name: postgres, port: 5432, targetPort: serve}]
`, name, namespace, connection))
	port = s.kubectl(t, "-n", namespace, "get", "service", name, "-o", "jsonpath={.spec.ports[0].nodePort}")
	await(t, "the NodePort", func(ctx context.Context) error {
		conn, err := s.Dial(ctx, "tcp", net.JoinHostPort(s.NodeAddress(), port))
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return port
}

// fromOutside runs one statement with psql against a NodePort, and does not wait.
func (s *site) fromOutside(t *testing.T, connection, port, token, statement string) (done chan error) {
	t.Helper()
	bin, err := pgtest.BinDir()
	if err != nil {
		t.Fatal(err)
	}
	dsn := fmt.Sprintf("host=%s hostaddr=%s port=%s dbname=%s user=x sslmode=verify-full sslrootcert=%s", endpointOf(connection), s.NodeAddress(), port, database, s.authorities())
	output, err := os.Create(filepath.Join(s.dir, "psql.log"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), filepath.Join(bin, "psql"), "-X", "-w", "-A", "-t", "-c", statement, dsn)
	command.Env = append(os.Environ(), "PGPASSWORD="+token)
	command.Stdout, command.Stderr = output, output
	done = make(chan error, 1)
	go func() { done <- s.Enter(command) }()
	t.Cleanup(func() { _ = output.Close() })
	return done
}

// said is what the psql that runs, or ran last, has printed so far.
func (s *site) said(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, "psql.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// has fails the test where a text lacks one of several.
func has(t *testing.T, what, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %q:\n%s", what, want, text)
		}
	}
}
