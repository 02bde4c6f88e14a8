// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package product

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/hack/gobuild"
)

const (
	root   = "../../.."
	module = "github.com/doorward/doorward/"
)

// instructions are the Dockerfile's lines after its continuation lines are joined.
func instructions(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	joined := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(text), "")
	var lines []string
	for line := range strings.Lines(joined) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// The folders that the Dockerfile copies hold every package of this module that
// the binaries are made of, and are let through by .dockerignore.
func TestDockerfileCopiesWhatIsBuilt(t *testing.T) {
	var copied []string
	for _, line := range instructions(t) {
		if fields := strings.Fields(line); fields[0] == "COPY" && strings.HasSuffix(fields[1], "/") {
			copied = append(copied, fields[1])
		}
	}
	ignore, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range copied {
		if _, err := os.Stat(filepath.Join(root, folder)); err != nil {
			t.Errorf("Dockerfile copies what is not there: %v", err)
		}
		if !strings.Contains(string(ignore), "\n!"+strings.TrimSuffix(folder, "/")+"\n") {
			t.Errorf(".dockerignore keeps %q away", folder)
		}
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/manager", "./cmd/proxy")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for imported := range strings.Lines(string(out)) {
		folder, ours := strings.CutPrefix(strings.TrimSpace(imported), module)
		if !ours {
			continue
		}
		found := false
		for _, prefix := range copied {
			found = found || strings.HasPrefix(folder+"/", prefix)
		}
		if !found {
			t.Errorf("Dockerfile does not copy package %q, which the binaries need", folder)
		}
	}
}

func TestImageIsTheDockerfiles(t *testing.T) {
	source := gobuild.Source{Version: "${VERSION}", Commit: "${REVISION}", Time: time.Unix(0, 0)}
	binaries := t.TempDir()
	for _, command := range Commands() {
		if err := os.WriteFile(filepath.Join(binaries, command), []byte(command), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	image, err := Assemble(gobuild.Target{OS: "linux", Arch: "amd64"}, source, binaries, []byte("authorities"))
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{}
	said := map[string]string{}
	for _, line := range instructions(t) {
		instruction, rest, _ := strings.Cut(line, " ")
		switch instruction {
		case "FROM":
			clear(said) // the last stage is the image
		case "LABEL":
			for _, pair := range regexp.MustCompile(`([\w.]+)="([^"]*)"`).FindAllStringSubmatch(rest, -1) {
				labels[pair[1]] = pair[2]
			}
		default:
			said[instruction] += rest + "\n"
		}
	}
	if diff := cmp.Diff(labels, image.Config.Labels); diff != "" {
		t.Errorf("labels (-Dockerfile +image):\n%s", diff)
	}
	got := map[string]string{
		"USER": image.Config.User + "\n", "WORKDIR": image.Config.WorkingDir + "\n", "ENTRYPOINT": `["` + strings.Join(image.Config.Entrypoint, `", "`) + "\"]\n",
		"ARG": "VERSION=unknown\nREVISION=unknown\n",
		"COPY": "--from=build /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt\n" +
			"--from=build /out/" + strings.Join(Commands(), " /out/") + " /\n",
	}
	if diff := cmp.Diff(said, got); diff != "" {
		t.Errorf("last stage (-Dockerfile +image):\n%s", diff)
	}
}

// The compiler is the one that go.mod asks for.
func TestDockerfileCompiler(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(text))
	if version == nil {
		t.Fatal("go.mod asks for no version of Go")
	}
	if want := "FROM --platform=$BUILDPLATFORM golang:" + version[1] + " AS build"; instructions(t)[0] != want {
		t.Errorf("Dockerfile begins with %q, want %q", instructions(t)[0], want)
	}
}
