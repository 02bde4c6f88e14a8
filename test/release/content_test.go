// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// unpack writes an archive's files into a new folder, which it returns.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	compressed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for entries := tar.NewReader(compressed); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return folder
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(entries)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(folder, filepath.FromSlash(path.Clean("/"+header.Name)))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, header.FileInfo().Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}

// read decodes a file of YAML or JSON.
func read[T any](t *testing.T, name string) T {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var value T
	if err := yaml.Unmarshal(text, &value); err != nil {
		t.Fatalf("cannot read %q: %v", name, err)
	}
	return value
}

type chart struct {
	Version    string
	AppVersion string
}

// testOneVersion asks everything that says a version for it.
func testOneVersion(t *testing.T, dist string) {
	t.Helper()
	on := "_" + version + "_linux_" + runtime.GOARCH + ".tar.gz"
	servers, plugin := unpack(t, filepath.Join(dist, "doorward"+on)), unpack(t, filepath.Join(dist, "kubectl-doorward"+on))
	got := map[string]string{
		"manager --version":        run(t, servers, nil, "./manager", "--version"),
		"proxy --version":          run(t, servers, nil, "./proxy", "--version"),
		"kubectl doorward version": run(t, plugin, nil, "./kubectl-doorward", "version"),
	}
	want := map[string]string{}
	for name := range got {
		want[name] = version + "\n"
	}
	for _, name := range []string{"doorward", "doorward-crds"} {
		for where, file := range map[string]string{
			"work tree": filepath.Join(root(t), "charts", name, "Chart.yaml"),
			"package":   filepath.Join(unpack(t, filepath.Join(dist, name+"-"+version+".tgz")), name, "Chart.yaml"),
		} {
			said := read[chart](t, file)
			got[name+" version in the "+where], got[name+" appVersion in the "+where] = said.Version, said.AppVersion
			want[name+" version in the "+where], want[name+" appVersion in the "+where] = version, version
		}
	}
	manifest := read[struct{ Spec struct{ Version string } }](t, filepath.Join(dist, "doorward.yaml"))
	got["krew"], want["krew"] = manifest.Spec.Version, "v"+version
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

// testBills holds the bills of materials against what the linker says.
func testBills(t *testing.T, dist string) {
	t.Helper()
	on := "_" + version + "_linux_" + runtime.GOARCH
	servers := unpack(t, filepath.Join(dist, "doorward"+on+".tar.gz"))
	for _, command := range []string{"manager", "proxy"} {
		info, err := buildinfo.ReadFile(filepath.Join(servers, command))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"std": info.GoVersion}
		for _, module := range info.Deps {
			want[module.Path] = module.Version
		}
		text, err := os.ReadFile(filepath.Join(dist, command+on+".cdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		var bill struct {
			BOMFormat string
			Metadata  struct {
				Timestamp string
				Component struct{ Version string }
			}
			Components []struct{ Name, Version string }
		}
		if err := json.Unmarshal(text, &bill); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, component := range bill.Components {
			got[component.Name] = component.Version
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("bill of %s (-binary +bill):\n%s", command, diff)
		}
		if bill.BOMFormat != "CycloneDX" || bill.Metadata.Component.Version != version || bill.Metadata.Timestamp != "2026-11-22T00:00:00Z" {
			t.Errorf("bill of %s is of %+v", command, bill.Metadata)
		}
	}
}

// startRegistry starts an empty registry and returns its address.
func startRegistry(t *testing.T) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), tool(t, "crane"), "registry", "serve", "--address", "127.0.0.1:0")
	messages, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(messages)
	for lines.Scan() {
		if port := regexp.MustCompile(`serving on port (\d+)`).FindStringSubmatch(lines.Text()); port != nil {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = io.Copy(io.Discard, messages)
			}()
			t.Cleanup(func() {
				_ = command.Process.Kill()
				<-done
				_ = command.Wait()
			})
			return "127.0.0.1:" + port[1]
		}
	}
	t.Fatalf("the registry has not started: %v, %v", lines.Err(), command.Wait())
	return ""
}
