// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/doorward/doorward/test/cluster"
	"github.com/doorward/doorward/test/cluster/images"
)

const (
	// patience bounds every wait, on a busy machine.
	patience = 5 * time.Minute
	// dialTimeout is what one of many tries may take.
	dialTimeout = 30 * time.Second
)

// TestCluster takes one cluster through what tests on it rely on; starting one for each would
// take minutes.
func TestCluster(t *testing.T) {
	c := cluster.StartT(t, cluster.Options{Progress: os.Stderr, Logs: os.Getenv("CLUSTER_LOGS")})
	archives, err := images.All(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, archive := range archives {
		if err := c.LoadImage(t.Context(), archive); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, c, images.PostgreSQLManifest)
	apply(t, c, images.ClientManifest)
	kubectl(t, c, "rollout", "status", "statefulset/postgres", "--timeout=4m")
	kubectl(t, c, "wait", "--for=condition=Ready", "pod/psql", "--timeout=4m")

	t.Run("PodFindsServiceByName", func(t *testing.T) {
		// kube-proxy and the name server hear a moment later that a pod is ready.
		await(t, "psql in a pod", func() error { return returns(t, c, "SELECT 1", "1") })
	})
	t.Run("TestFindsServiceByNameAndAddress", func(t *testing.T) {
		address := kubectl(t, c, "get", "service", "postgres", "-o", "jsonpath={.spec.clusterIP}")
		for _, host := range []string{"postgres.default.svc", "postgres.default.svc.cluster.local", address} {
			query(t, connect(t, c, host), "SELECT 1")
		}
	})
	t.Run("PodReachesServerOfTest", func(t *testing.T) { podReachesTest(t, c) })
	t.Run("ProgramRunsOnNode", func(t *testing.T) {
		command := exec.CommandContext(t.Context(), filepath.Join(c.Assets, "kubectl"), "--kubeconfig="+c.InsideKubeconfig(), "get", "nodes", "-o", "name")
		var out strings.Builder
		command.Stdout = &out
		if err := c.Enter(command); err != nil || strings.TrimSpace(out.String()) != "node/"+c.Name {
			t.Errorf("got %q, %v", out.String(), err)
		}
	})
	t.Run("OnlyRestrictedPods", func(t *testing.T) { onlyRestricted(t, c) })
	t.Run("VolumeSurvivesPod", func(t *testing.T) {
		_, err := psql(t.Context(), c, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
		must(t, err)
		before := kubectl(t, c, "get", "pod", "postgres-0", "-o", "jsonpath={.metadata.uid}")
		kubectl(t, c, "delete", "pod", "postgres-0", "--timeout=4m")
		kubectl(t, c, "rollout", "status", "statefulset/postgres", "--timeout=4m")
		if after := kubectl(t, c, "get", "pod", "postgres-0", "-o", "jsonpath={.metadata.uid}"); after == before {
			t.Fatal("the pod is the same")
		}
		await(t, "what was written before", func() error { return returns(t, c, "SELECT n FROM kept", "7") })
	})
	t.Run("PodsOutliveKubeletAndRuntime", func(t *testing.T) {
		conn := connect(t, c, "postgres.default.svc")
		for name, server := range map[string]*cluster.Server{"kubelet": c.Kubelet, "containerd": c.Containerd} {
			must(t, server.Kill())
			if server.Running() {
				t.Errorf("%s runs on", name)
			}
			query(t, conn, "SELECT 1")
			must(t, server.Start(t.Context()))
			must(t, c.AwaitReady(t.Context()))
		}
		query(t, conn, "SELECT 1")
		if restarts := kubectl(t, c, "get", "pod", "postgres-0", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"); restarts != "0" {
			t.Errorf("the pod was restarted %s times", restarts)
		}
	})
	t.Run("PodsOutliveAPIServer", func(t *testing.T) {
		conn := connect(t, c, "postgres.default.svc")
		must(t, c.APIServer.Stop())
		if out, err := c.Kubectl(t.Context(), "get", "pods", "--request-timeout=5s"); err == nil {
			t.Errorf("without an API server: got %q", out)
		}
		query(t, conn, "SELECT 1")
		query(t, connect(t, c, "postgres.default.svc"), "SELECT 1")
		must(t, c.APIServer.Start(t.Context()))
		kubectl(t, c, "get", "pods")
	})
	t.Run("SnapshotBringsBack", func(t *testing.T) {
		snapshot := filepath.Join(t.TempDir(), "etcd.db")
		kubectl(t, c, "create", "configmap", "before")
		must(t, c.SnapshotEtcd(t.Context(), snapshot))
		kubectl(t, c, "delete", "configmap", "before")
		kubectl(t, c, "create", "configmap", "after")
		must(t, c.RestoreEtcd(t.Context(), snapshot))
		got := strings.Fields(kubectl(t, c, "get", "configmaps", "-o", "name"))
		if !slices.Contains(got, "configmap/before") || slices.Contains(got, "configmap/after") {
			t.Errorf("after the restore: got %q", got)
		}
		// The node, which was not started anew, has noticed.
		kubectl(t, c, "delete", "pod", "postgres-0", "--timeout=4m")
		kubectl(t, c, "rollout", "status", "statefulset/postgres", "--timeout=4m")
	})
	t.Run("ClaimsVolumeGoesWithIt", func(t *testing.T) {
		kubectl(t, c, "delete", "statefulset/postgres", "--timeout=4m")
		kubectl(t, c, "delete", "pvc", "data-postgres-0", "--timeout=4m")
		kubectl(t, c, "wait", "--for=delete", "pv", "--all", "--timeout=4m")
		if left, err := os.ReadDir(filepath.Join(c.Dir, "volumes")); err != nil || len(left) > 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
	})
	t.Run("SecondClusterBesideIt", func(t *testing.T) { secondCluster(t, c) })
}

// podReachesTest has psql in a pod connect to a port of this process on the node.
func podReachesTest(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	listener, err := c.Listen(t.Context(), "tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	greeted := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = conn.Close()
		}
		greeted <- err
	}()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Kubectl(t.Context(), "exec", "psql", "--", "/client", "psql", "--host="+c.NodeAddress(), "--port="+port, "--username=x", "--command=SELECT 1")
	if err == nil {
		t.Error("a connection that was closed at once is no session")
	}
	must(t, <-greeted)
}

// onlyRestricted shows that a pod that asks for more is refused, and that none has more.
func onlyRestricted(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	_, err := c.Kubectl(t.Context(), "run", "open", "--image=doorward.test/psql:latest", "--dry-run=server")
	if err == nil || !strings.Contains(err.Error(), `violates PodSecurity "restricted`) {
		t.Errorf("an unrestricted pod: got %v", err)
	}
	_, err = c.Kubectl(t.Context(), "run", "open", "--image=doorward.test/psql:latest", "--dry-run=server", "--privileged")
	if err == nil {
		t.Error("a privileged pod is accepted")
	}
	config, err := c.RestConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	pods, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("cannot list the pods: %d, %v", len(pods.Items), err)
	}
	for _, pod := range pods.Items {
		nonRoot := pod.Spec.SecurityContext != nil && pod.Spec.SecurityContext.RunAsNonRoot != nil && *pod.Spec.SecurityContext.RunAsNonRoot
		if !nonRoot || pod.Spec.HostNetwork || pod.Spec.HostPID {
			t.Errorf("pod %s/%s is not restricted: %+v", pod.Namespace, pod.Name, pod.Spec.SecurityContext)
		}
	}
}

func kubectl(t *testing.T, c *cluster.Cluster, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := c.Kubectl(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func apply(t *testing.T, c *cluster.Cluster, manifest string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifest.yaml")
	must(t, os.WriteFile(path, []byte(manifest), 0o600))
	kubectl(t, c, "apply", "-f", path)
}

// psql executes a statement in the pod "psql" and returns the one value of its result.
func psql(ctx context.Context, c *cluster.Cluster, statement string) (string, error) {
	out, err := c.Kubectl(ctx, "exec", "psql", "--", "/client", "PGPASSWORD=changeit",
		"psql", "--host=postgres", "--username=postgres", "--dbname=shop", "--no-align", "--tuples-only", "--quiet", "--command="+statement)
	return strings.TrimSpace(string(out)), err
}

// returns says where a statement's one value is not the one that is wanted.
func returns(t *testing.T, c *cluster.Cluster, statement, want string) error {
	t.Helper()
	got, err := psql(t.Context(), c, statement)
	if err == nil && got != want {
		err = fmt.Errorf("%s: got %q, want %q", statement, got, want)
	}
	return err
}

// connect opens a session from inside the node. kube-proxy hears a moment later that a pod is
// ready, and refuses what comes before.
func connect(t *testing.T, c *cluster.Cluster, host string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s user=postgres password=changeit dbname=shop sslmode=disable", host))
	if err != nil {
		t.Fatal(err)
	}
	config.DialFunc = c.Dial
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	var conn *pgx.Conn
	await(t, "a session with "+host, func() (err error) {
		ctx, cancel := context.WithTimeout(t.Context(), dialTimeout)
		defer cancel()
		conn, err = pgx.ConnectConfig(ctx, config)
		return err
	})
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func query(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
