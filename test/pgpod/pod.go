// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package pgpod

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/doorward/doorward/test/cluster"
	"github.com/doorward/doorward/test/cluster/images"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testcert"
)

// serviceTimeout is how long kube-proxy may take on a busy machine.
const serviceTimeout = time.Minute

//go:embed pod.yaml
var podYAML string

var objects = template.Must(template.New("pod.yaml").Parse(podYAML))

// Server is a PostgreSQL in a pod, behind a Service of its name.
type Server struct {
	Name, Namespace string
	// CAPEM is the authority of its certificate, which is valid for Host.
	CAPEM []byte
	// Password is that of the superuser postgres.
	Password string

	cluster *cluster.Cluster
	ca      string
}

// Start runs a server; dir is where the test keeps its files. The image of
// images.PostgreSQL must have been loaded.
func Start(ctx context.Context, c *cluster.Cluster, namespace, name, dir string) (*Server, error) {
	s := &Server{Name: name, Namespace: namespace, Password: rand.Text(), cluster: c}
	authority, err := testcert.NewCA(name)
	if err != nil {
		return nil, err
	}
	pair, err := authority.Issue(testcert.Request{CommonName: name, DNSNames: []string{s.Host(), name + "." + namespace + ".svc"}})
	if err != nil {
		return nil, err
	}
	s.CAPEM, s.ca = authority.PEM, filepath.Join(dir, name+"-ca.crt")
	var text bytes.Buffer
	if err := objects.Execute(&text, map[string]string{
		"Name": name, "Namespace": namespace, "Image": images.PostgreSQLName, "Password": s.Password,
		"Certificate": indented(pair.CertPEM), "Key": indented(pair.KeyPEM),
	}); err != nil {
		return nil, fmt.Errorf("cannot write the pod of PostgreSQL: %w", err)
	}
	manifest := filepath.Join(dir, name+".yaml")
	for path, content := range map[string][]byte{s.ca: s.CAPEM, manifest: text.Bytes()} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return nil, fmt.Errorf("cannot write the pod of PostgreSQL: %w", err)
		}
	}
	if _, err := c.Kubectl(ctx, "apply", "-f", manifest); err != nil {
		return nil, err
	}
	if _, err := c.Kubectl(ctx, "-n", namespace, "wait", "--for=condition=Ready", "--timeout=180s", "pod/"+name); err != nil {
		return nil, err
	}
	if err := s.awaitService(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// awaitService waits until the Service leads to the pod, a moment after that is ready.
func (s *Server) awaitService(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	return stack.Await(ctx, func(ctx context.Context) error {
		conn, err := s.Connect(ctx, "postgres", s.Password, "postgres")
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

func indented(text []byte) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    ")
}

// Host is the name that pods reach it by.
func (s *Server) Host() string { return s.Name + "." + s.Namespace + ".svc.cluster.local" }

// Connect opens a session from inside the node, past every proxy.
func (s *Server) Connect(ctx context.Context, user, password, database string) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=5432 user=%s password=%s dbname=%s sslmode=verify-full sslrootcert=%s", s.Host(), user, password, database, s.ca))
	if err != nil {
		return nil, fmt.Errorf("cannot connect to PostgreSQL: %w", err)
	}
	Inside(s.cluster, config)
	return pgconn.ConnectConfig(ctx, config)
}

// Inside makes a session begin inside the node, where the cluster's names are known.
func Inside(c *cluster.Cluster, config *pgconn.Config) {
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		// What the cluster's DNS is asked is complete.
		return c.Dial(ctx, network, strings.Replace(address, ".svc:", ".svc.cluster.local:", 1))
	}
}

// Exec runs texts as the superuser, one after the other.
func (s *Server) Exec(ctx context.Context, database string, statements ...string) error {
	conn, err := s.Connect(ctx, "postgres", s.Password, database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement).ReadAll(); err != nil {
			return fmt.Errorf("cannot execute %.40q: %w", statement, err)
		}
	}
	return nil
}

// Query runs one statement as the superuser and returns its rows, fields joined by "|".
func (s *Server) Query(ctx context.Context, database, statement string) ([]string, error) {
	conn, err := s.Connect(ctx, "postgres", s.Password, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, statement).ReadAll()
	if err != nil || len(results) == 0 {
		return nil, err
	}
	var rows []string
	for _, row := range results[len(results)-1].Rows {
		rows = append(rows, string(bytes.Join(row, []byte("|"))))
	}
	return rows, nil
}

// LogPath is the server's own log, in the pod's folder on this machine.
func (s *Server) LogPath(ctx context.Context) (string, error) {
	config, err := s.cluster.RestConfig()
	if err != nil {
		return "", err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", fmt.Errorf("cannot make a client: %w", err)
	}
	var pod *corev1.Pod
	if pod, err = client.CoreV1().Pods(s.Namespace).Get(ctx, s.Name, metav1.GetOptions{}); err != nil {
		return "", fmt.Errorf("cannot find the pod of PostgreSQL: %w", err)
	}
	path := fmt.Sprintf("%s/files/var/lib/kubelet/pods/%s/volumes/kubernetes.io~empty-dir/data/log/postgresql.log", s.cluster.Dir, pod.UID)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("cannot find PostgreSQL's log: %w", err)
	}
	return path, nil
}
