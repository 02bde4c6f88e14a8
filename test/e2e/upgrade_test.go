// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/test/testenv"
)

// firstChart is the first commit that has a chart and whose source builds;
// oldVersion is what its image is called here.
const (
	firstChart = "1125af4064b88b5b2da2b4debbd49d1750ad194a"
	oldVersion = "0.1.0-e2e.0"
)

// modeAndWhen is what policies of that chart do not say yet.
const modeAndWhen = "  mode: Enforce\n  when: []\n"

// TestUpgrade installs the first chart there was, with the image of its own
// source, and upgrades the definitions, the policies, the chart and the image under load.
func TestUpgrade(t *testing.T) {
	need(t)
	tree := checkout(t, firstChart)
	s := newSite(t, source{tree, []string{oldVersion}}, source{testenv.Root(), []string{firstVersion}})
	progress("helm install of the first chart, commit %.7s", firstChart)
	s.helmUp(t, tree, oldVersion)
	s.target(t)
	s.samples(t, tree, strings.Replace(more, modeAndWhen, "", 1))
	await(t, "Connections that are ready", s.well)
	b := s.newBench(t)
	await(t, "a session for each client", func(context.Context) error { return b.load.Served(time.Time{}) })
	t.Run("Reliability", func(t *testing.T) {
		b.endure(t, fault{
			name: "Upgrade", what: "definitions, chart and image are upgraded from those of the first commit that had a chart",
			well: b.runs(firstVersion),
			do: func(t *testing.T) map[string]bool {
				t.Helper()
				ends := b.instances(t)
				s.definitionsUp(t, testenv.Root())
				s.nameModeAndWhen(t)
				b.since = time.Now()
				s.operatorUp(t, testenv.Root(), firstVersion)
				return ends
			},
		})
	})
	b.load.End()
	t.Run("Account", b.settle)
}

// nameModeAndWhen has all policies say what newer definitions ask for, with the command of
// docs/operations/install.md.
func (s *site) nameModeAndWhen(t *testing.T) {
	t.Helper()
	for _, policy := range strings.Fields(s.kubectl(t, "-n", namespace, "get", "accesspolicies", "-o", "name")) {
		s.kubectl(t, "-n", namespace, "patch", policy, "--type=merge", `--patch={"spec": {"mode": "Enforce", "when": []}}`)
	}
}

// checkout is a work tree of a commit. A clone that does not reach back to it
// skips the test.
func checkout(t *testing.T, commit string) string {
	t.Helper()
	root := testenv.Root()
	if out, err := exec.CommandContext(t.Context(), "git", "-C", root, "rev-parse", "--verify", "--quiet", commit+"^{commit}").CombinedOutput(); err != nil {
		t.Skipf("commit %s is not in this clone, which is shallow or no clone: fetch the whole history to test the upgrade: %v %s", commit, err, strings.TrimSpace(string(out)))
	}
	tree := filepath.Join(folder(t, "tree"), "doorward")
	for _, arguments := range [][]string{
		{"clone", "--quiet", "--shared", "--no-checkout", root, tree},
		{"-C", tree, "checkout", "--quiet", "--detach", commit},
	} {
		if err := program(t.Context(), root, "git", arguments...); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}
