// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/doorward/doorward/test/testenv"
)

// ErrNoAssets says that the node's binaries have not been obtained yet.
var ErrNoAssets = errors.New("no binaries of a node: run `make node`")

// Assets returns the folder with the binaries that hack/controlplane/ensure.sh --node has
// obtained earlier.
func Assets(ctx context.Context) (string, error) {
	script := filepath.Join(testenv.Root(), "hack", "controlplane", "ensure.sh")
	out, err := exec.CommandContext(ctx, script, "--node", "--path").Output()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoAssets, err)
	}
	return strings.TrimSpace(string(out)), nil
}

//go:embed probe.sh
var probeScript string

// programs are what a node needs of the system, with Debian's package of each.
var programs = []struct{ name, pkg string }{
	{"containerd", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{"iptables", "iptables"},
	{"ip", "iproute2"},
	{"unshare", "util-linux"},
	{"bash", "bash"},
	{"go", "golang"},
}

// Missing returns what this machine lacks to run a node, each with its remedy; nothing where
// it can. What can be tried is tried, in namespaces that end with the call.
func Missing(ctx context.Context) []string {
	if runtime.GOOS != "linux" {
		return []string{"Linux: run this in a virtual machine"}
	}
	var missing []string
	for _, program := range programs {
		if _, err := exec.LookPath(program.name); err != nil {
			missing = append(missing, fmt.Sprintf("program %s: install Debian's package %s (hack/install-deps.sh cluster)", program.name, program.pkg))
		}
	}
	if _, err := os.Stat(filepath.Join(pluginsDir(), "bridge")); err != nil {
		missing = append(missing, "CNI plugins: install Debian's package containernetworking-plugins (hack/install-deps.sh cluster)")
	}
	if _, err := Assets(ctx); err != nil {
		missing = append(missing, "binaries of a node: run `make node`, which builds them once per machine")
	}
	if os.Geteuid() != 0 {
		return append(missing, "root: run this as root, which may make namespaces and mounts")
	}
	if len(missing) > 0 {
		return missing
	}
	return probe(ctx)
}

// probe makes for a moment what a node is made of.
func probe(ctx context.Context) []string {
	dir, err := os.MkdirTemp("", "doorward-probe-")
	if err != nil {
		return []string{fmt.Sprintf("folder for temporary files: %v", err)}
	}
	defer os.RemoveAll(dir)
	command := exec.CommandContext(ctx, "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
		"bash", "-c", probeScript, "probe.sh", dir, fmt.Sprintf("doorward-probe-%d", os.Getpid()))
	out, err := command.CombinedOutput()
	var missing []string
	for line := range strings.Lines(string(out)) {
		if what, found := strings.CutPrefix(strings.TrimSpace(line), "missing: "); found {
			missing = append(missing, what)
		}
	}
	if err != nil && len(missing) == 0 {
		missing = []string{fmt.Sprintf("namespaces: allow network, mount and process namespaces (CAP_SYS_ADMIN): %v: %s", err, strings.TrimSpace(string(out)))}
	}
	return missing
}

// overlays says whether an overlay can be mounted on the folder, which is faster than copies.
func overlays(dir string) bool {
	parts := map[string]string{}
	for _, part := range []string{"lower", "upper", "work", "merged"} {
		parts[part] = filepath.Join(dir, "overlay", part)
		if err := os.MkdirAll(parts[part], 0o700); err != nil {
			return false
		}
	}
	defer os.RemoveAll(filepath.Join(dir, "overlay"))
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", parts["lower"], parts["upper"], parts["work"])
	command := exec.Command("unshare", "--mount", "mount", "-t", "overlay", "-o", data, "overlay", parts["merged"]) //nolint:noctx // ends by itself
	return command.Run() == nil
}

// SkipUnable skips a test on a machine that cannot run a node, and says why.
func SkipUnable(tb testing.TB) {
	tb.Helper()
	if missing := Missing(tb.Context()); len(missing) > 0 {
		tb.Skipf("cannot run a node here; missing: %s", strings.Join(missing, "; "))
	}
}
