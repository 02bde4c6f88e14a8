// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/test/cluster"
)

// recorder stands for kind, docker and kubectl: it writes down how it was called, and keeps a
// list of clusters as kind does.
const recorder = `#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
case "$(basename "$0") $1 $2" in
"kind create cluster") echo "$4" >"$CALLS.clusters"; : >"$6" ;;
"kind delete cluster") : >"$CALLS.clusters" ;;
"kind get clusters") cat "$CALLS.clusters" ;;
esac
`

// TestKind shows which programs are called; what they do is theirs.
func TestKind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"kind", "docker", "kubectl"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(recorder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	calls := filepath.Join(dir, "calls")
	t.Setenv("CALLS", calls)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("TMPDIR", dir)
	config := filepath.Join(dir, "doorward-kind", "try.kubeconfig")
	for _, args := range [][]string{
		{"up", "--name", "try"},
		{"kubectl", "--name", "try", "--", "-n", "shop", "get", "pods"},
		{"load", "--name", "try", "image.tar"},
		{"enter", "--name", "try", "ip", "address"},
		{"forward", "--name", "try", "postgres.shop.svc:5432"},
		{"down", "--name", "try"},
	} {
		if err := run(t.Context(), args); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
	}
	if _, err := os.Stat(config); err == nil {
		t.Error("the kubeconfig is left over")
	}
	if err := run(t.Context(), []string{"env", "--name", "try"}); err == nil {
		t.Error("a cluster that has ended is found")
	}
	got, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"docker info",
		"kind create cluster --name try --kubeconfig " + config + " --wait 3m",
		"kubectl --kubeconfig=" + config + " -n shop get pods",
		"kind load image-archive image.tar --name try",
		"docker exec --interactive try-control-plane ip address",
		"kubectl --kubeconfig=" + config + " --namespace=shop port-forward service/postgres :5432",
		"kind delete cluster --name try --kubeconfig " + config,
	}
	var acts []string
	for line := range strings.Lines(string(got)) {
		if line = strings.TrimSpace(line); line != "kind get clusters" {
			acts = append(acts, line)
		}
	}
	if diff := cmp.Diff(want, acts); diff != "" {
		t.Errorf("calls: -want +got:\n%s", diff)
	}
}

// TestFolderIsOwn: what kubectl is told to talk to, and with which credentials, comes from a folder
// of this user's alone.
func TestFolderIsOwn(t *testing.T) {
	tests := map[string]struct {
		reason string
		make   func(t *testing.T, folder string)
		want   string // part of the error; empty where the folder is no problem
	}{
		"None":     {"nothing was started", func(*testing.T, string) {}, ""},
		"Own":      {"up has made it", func(t *testing.T, folder string) { t.Helper(); mkdir(t, folder, 0o700) }, ""},
		"Readable": {"others would have the credentials", func(t *testing.T, folder string) { t.Helper(); mkdir(t, folder, 0o755) }, "not this user's alone"},
		"Writable": {"others could put their own there", func(t *testing.T, folder string) { t.Helper(); mkdir(t, folder, 0o777) }, "not this user's alone"},
		"Link": {"it may lead anywhere", func(t *testing.T, folder string) {
			t.Helper()
			if err := os.Symlink(t.TempDir(), folder); err != nil {
				t.Fatal(err)
			}
		}, "not this user's alone"},
		"Foreign": {"somebody has made it before", func(t *testing.T, folder string) {
			t.Helper()
			mkdir(t, folder, 0o700)
			if err := os.Chown(folder, 65534, 65534); err != nil {
				t.Skipf("only root can give a folder away: %v", err)
			}
		}, "not this user's alone"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			// Nothing of kind is run.
			t.Setenv("PATH", dir)
			tc.make(t, filepath.Join(dir, "doorward-kind"))
			k := kind{name: "try"}
			_, running := k.running(t.Context())
			for what, err := range map[string]error{"list": run(t.Context(), []string{"list"}), "running": running} {
				if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
					t.Errorf("%s: %s: got %v, want %q", tc.reason, what, err, tc.want)
				}
			}
			// What is refused is refused before kind is called, which is not there.
			if err := k.up(t.Context()); tc.want != "" && !strings.Contains(err.Error(), tc.want) || tc.want == "" && !strings.Contains(err.Error(), "kind could not start") {
				t.Errorf("%s: up: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

// mkdir makes a folder with exactly that mode.
func mkdir(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Mkdir(path, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// TestNode goes through a cluster's life by the command line.
func TestNode(t *testing.T) {
	cluster.SkipUnable(t)
	// Built here: the owner of the cluster is the same program in the background.
	program := filepath.Join(t.TempDir(), "cluster")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("cannot build the command: %v: %s", err, out)
	}
	// A folder of its own keeps the clusters of this machine's developer out of it.
	t.Setenv("TMPDIR", t.TempDir())
	call := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), program, args...).Output()
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	config := strings.TrimPrefix(call("up", "--provider", "node", "--name", "cli"), "export KUBECONFIG=")
	defer func() { _ = exec.Command(program, "down", "--name", "cli").Run() }()
	if got := call("list"); got != "cli\tnode\t"+config {
		t.Errorf("list: got %q", got)
	}
	if got := call("env", "--name", "cli"); got != "export KUBECONFIG="+config {
		t.Errorf("env: got %q", got)
	}
	for _, args := range [][]string{
		{"kubectl", "--name", "cli", "get", "nodes", "--output", "name"},
		{"enter", "--name", "cli", "kubectl", "get", "nodes", "--output", "name"},
	} {
		if got := call(args...); got != "node/cli" {
			t.Errorf("%q: got %q", args, got)
		}
	}
	call("down", "--name", "cli")
	if got := call("list"); got != "" {
		t.Errorf("list after down: got %q", got)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for name, test := range map[string]struct {
		reason string
		args   []string
	}{
		"NoCommand":       {"there is nothing to do", nil},
		"UnknownProvider": {"neither of the two", []string{"up", "--provider", "cloud"}},
		"NotRunning":      {"no cluster of the name", []string{"kubectl", "--name", "absent", "get", "pods"}},
		"UnknownFlag":     {"flags of kubectl come after --", []string{"kubectl", "-n", "shop", "get", "pods"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), test.args); err == nil {
				t.Errorf("%q succeeds though %s", test.args, test.reason)
			}
		})
	}
}
