// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// version is the one that is written down.
var version = func() string {
	text, err := os.ReadFile(filepath.Join("..", "..", "charts", "doorward", "Chart.yaml"))
	if err != nil {
		panic(err)
	}
	return regexp.MustCompile(`(?m)^version: (.*)$`).FindStringSubmatch(string(text))[1]
}()

// root is the work tree's.
func root(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// tool is a pinned tool's path.
func tool(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(root(t), "bin", "tools", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("a tool is missing: run `make %s`: %v", "bin/tools/"+name, err)
	}
	return path
}

// run runs a program and returns what it printed.
func run(t *testing.T, folder string, environment []string, name string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir, command.Env = folder, append(os.Environ(), environment...)
	var problem bytes.Buffer
	command.Stderr = &problem
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, problem.String())
	}
	return string(out)
}

// export copies what a release is made of, as it is in the work tree, without
// its history: somebody else's copy.
func export(t *testing.T, folder string) {
	t.Helper()
	from := root(t)
	listed := run(t, from, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--",
		"go.mod", "go.sum", "LICENSE", "api", "charts", "cli", "cmd", "config", "controllers", "proxy", "hack")
	for name := range strings.SplitSeq(strings.TrimSuffix(listed, "\x00"), "\x00") {
		if err := copyFile(filepath.Join(from, name), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if os.IsNotExist(err) {
		return nil // deleted, and not committed yet
	}
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		return err
	}
	return target.Close()
}

// makeDist makes a release of a copy of the work tree, for this machine's platform
// alone, and returns the folder of what was made.
func makeDist(t *testing.T, folder string) string {
	t.Helper()
	export(t, folder)
	platform := "linux/" + runtime.GOARCH
	run(t, folder, []string{"SOURCE_DATE_EPOCH=1795305600"}, "go", "run", "./hack/release", "-version", version, "-output", "dist",
		"-tools", filepath.Dir(tool(t, "helm")), "-platform", platform, "-plugin-platform", platform)
	return filepath.Join(folder, "dist")
}

// Two people make the same release of the same source, in folders of their own.
func TestRelease(t *testing.T) {
	for _, name := range []string{"cyclonedx-gomod", "krew", "validate-krew-manifest", "crane"} {
		tool(t, name)
	}
	dist := makeDist(t, filepath.Join(t.TempDir(), "first"))
	again := makeDist(t, filepath.Join(t.TempDir(), "in", "a", "folder", "whose", "name", "is", "longer"))
	t.Run("Reproducible", func(t *testing.T) {
		first, err := os.ReadFile(filepath.Join(dist, "checksums.txt"))
		if err != nil {
			t.Fatal(err)
		}
		second, err := os.ReadFile(filepath.Join(again, "checksums.txt"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(first), string(second)); diff != "" {
			t.Errorf("checksums of two releases of one source (-first +second):\n%s", diff)
		}
	})
	t.Run("Complete", func(t *testing.T) { testComplete(t, dist) })
	t.Run("OneVersion", func(t *testing.T) { testOneVersion(t, dist) })
	t.Run("Bills", func(t *testing.T) { testBills(t, dist) })
	t.Run("Push", func(t *testing.T) { testPush(t, dist) })
}

// testComplete holds the list of files, and their sums by sha256sum's own
// reading of checksums.txt.
func testComplete(t *testing.T, dist string) {
	t.Helper()
	on := "_" + version + "_linux_" + runtime.GOARCH
	want := []string{
		"checksums.txt", "doorward-" + version + ".tgz", "doorward-crds-" + version + ".tgz", "doorward-image" + on + ".tar", "doorward.yaml", "doorward" + on + ".tar.gz",
		"image.txt", "kubectl-doorward" + on + ".cdx.json", "kubectl-doorward" + on + ".tar.gz", "manager" + on + ".cdx.json", "proxy" + on + ".cdx.json",
	}
	entries, err := os.ReadDir(dist)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files of the release (-want +got):\n%s", diff)
	}
	if out := run(t, dist, nil, "sha256sum", "--check", "--strict", "checksums.txt"); strings.Count(out, ": OK\n") != len(want)-1 {
		t.Errorf("checksums.txt does not name every file: %s", out)
	}
}

// testPush pushes the image to a registry, which must know it by the digest that
// the release names.
func testPush(t *testing.T, dist string) {
	t.Helper()
	registry := startRegistry(t)
	name := registry + "/mirror/doorward:" + version
	run(t, root(t), nil, filepath.Join("hack", "push.sh"), filepath.Join(dist, "doorward-image_"+version+"_linux_"+runtime.GOARCH+".tar"), name)
	said, err := os.ReadFile(filepath.Join(dist, "image.txt"))
	if err != nil {
		t.Fatal(err)
	}
	digest := strings.TrimSpace(run(t, ".", nil, tool(t, "crane"), "digest", name))
	if want := fmt.Sprintf("ghcr.io/doorward/doorward:%s@%s\n", version, digest); string(said) != want {
		t.Errorf("image.txt says %q, the registry %q", said, want)
	}
	run(t, ".", nil, tool(t, "crane"), "validate", "--remote", name)
}
