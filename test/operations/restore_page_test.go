// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testenv"
)

// The sections of docs/operations/backup.md whose commands are run, and the
// commands themselves, by what each begins with.
const (
	sectionBackup    = "Making a backup"
	sectionEtcd      = "Restoring etcd"
	sectionBehind    = "A log that the witness cannot follow"
	sectionElsewhere = "Restoring files into another cluster"
)

// admin is an admin's shell: a folder to work in, and a cluster that kubectl and
// the tools of etcd reach.
type admin struct {
	dir     string
	control *testenv.Env
	env     []string
}

// newAdmin gives an admin a shell of a control plane. What the page has as shell
// variables is set with set.
func newAdmin(t *testing.T, control *testenv.Env) *admin {
	t.Helper()
	return &admin{dir: t.TempDir(), control: control, env: []string{
		"namespace=" + stack.Namespace, "records=" + world.Records(), "ETCDCTL_ENDPOINTS=" + control.Etcd().Endpoint,
	}}
}

// set gives shell variables values, as name=value.
func (a *admin) set(variables ...string) { a.env = append(a.env, variables...) }

// at gives the admin another cluster, the folder and the variables being kept.
func (a *admin) at(control *testenv.Env) *admin {
	return &admin{dir: a.dir, control: control, env: a.env}
}

// path is that of a file in the folder.
func (a *admin) path(name string) string { return filepath.Join(a.dir, name) }

// follows runs a block of commands of docs/operations/backup.md, of which nothing
// is changed.
func (a *admin) follows(t *testing.T, section, begins string) string {
	t.Helper()
	output, err := a.try(t.Context(), told(t, section, begins))
	if err != nil {
		t.Fatalf("docs/operations/backup.md, section %q: %v", section, err)
	}
	return output
}

// told is the one block of commands in a section of docs/operations/backup.md
// that begins so.
func told(t *testing.T, section, begins string) string {
	t.Helper()
	var found []string
	for _, block := range commands(t, "backup.md", section) {
		if strings.HasPrefix(block, begins) {
			found = append(found, block)
		}
	}
	if len(found) != 1 {
		t.Fatalf("docs/operations/backup.md, section %q: %d blocks of commands begin with %q, want one", section, len(found), begins)
	}
	return found[0]
}

// try runs commands with bash, with all programs that an admin has. The error
// holds what they printed.
func (a *admin) try(ctx context.Context, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	kubeconfig, err := a.control.WriteKubeconfig("page", rest.CopyConfig(a.control.Direct))
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	command.Dir = a.dir
	command.Env = append(append(os.Environ(), a.env...), "KUBECONFIG="+kubeconfig, "KUBECACHEDIR="+filepath.Join(a.control.Dir, "kubectl-cache"),
		"PATH="+strings.Join([]string{a.control.Assets, filepath.Dir(world.Plugin()), os.Getenv("PATH")}, string(filepath.ListSeparator)))
	output, err := command.CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("%q: %w: %s", script, err, output)
	}
	return string(output), nil
}

// commands are the blocks marked as sh in a section of a page, the sections
// below it excepted, without what indents them.
func commands(t *testing.T, page, section string) (blocks []string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "operations", page))
	must(t, err)
	within, indent, block, open := false, "", []string(nil), false
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(line, "\n")
		text := strings.TrimLeft(line, " ")
		switch {
		case open && text == "```":
			blocks, open = append(blocks, strings.Join(block, "\n")), false
		case open:
			block = append(block, strings.TrimPrefix(line, indent))
		case strings.HasPrefix(line, "#"):
			within = strings.TrimLeft(line, "# ") == section
		case within && text == "```sh":
			block, indent, open = nil, strings.TrimSuffix(line, text), true
		}
	}
	return blocks
}

// TestPageCommands: no command of the page is left out by the tests.
func TestPageCommands(t *testing.T) {
	ran := map[string][]string{
		sectionBackup: {backupEtcd, backupFiles}, sectionEtcd: {restoreEtcd, stopManager, applyGit, startManager, waitReady},
		sectionBehind: {beginAnew, verifyBehind},
		sectionElsewhere: {
			restoreKeys, installElsewhere, restoreNamespace, restoreObjects, startManager, verifyElsewhere,
		},
	}
	for section, begins := range ran {
		blocks := commands(t, "backup.md", section)
		if len(blocks) != len(begins) {
			t.Fatalf("section %q has %d blocks of commands, the tests run %d", section, len(blocks), len(begins))
		}
		for i, block := range blocks {
			if !strings.HasPrefix(block, begins[i]) {
				t.Errorf("section %q, block %d: %q, the tests run one that begins with %q", section, i, block, begins[i])
			}
		}
	}
}

const (
	backupEtcd       = "etcdctl snapshot save"
	backupFiles      = "kubectl -n doorward-system get secret"
	restoreEtcd      = "etcdutl snapshot restore"
	stopManager      = "kubectl -n doorward-system scale deployment doorward-manager --replicas=0"
	applyGit         = "kubectl apply -f"
	startManager     = "kubectl -n doorward-system scale deployment doorward-manager --replicas=2"
	waitReady        = "kubectl wait connections"
	beginAnew        = `kubectl -n "$namespace" get auditlog`
	verifyBehind     = `kubectl doorward audit verify --checkpoint "$log.yaml"`
	restoreKeys      = "kubectl create namespace doorward-system"
	installElsewhere = "kubectl kustomize config/default"
	restoreNamespace = `kubectl create namespace "$namespace"`
	restoreObjects   = "kubectl create -f cluster-objects.yaml"
	verifyElsewhere  = "kubectl doorward audit verify --checkpoint auditlogs.yaml"
)
