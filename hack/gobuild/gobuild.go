// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gobuild builds the product's binaries the way they are released: the
// same source and compiler make the same bytes, wherever and by whoever.
package gobuild

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Target is a platform, named as by Go: linux, amd64.
type Target struct{ OS, Arch string }

// ParseTarget reads OS/ARCH.
func ParseTarget(text string) (Target, error) {
	system, arch, found := strings.Cut(text, "/")
	if !found || system == "" || arch == "" || strings.Contains(arch, "/") {
		return Target{}, fmt.Errorf("cannot read platform %q: write OS/ARCH, linux/amd64 say", text)
	}
	return Target{OS: system, Arch: arch}, nil
}

// Executable is the name of a command's file on this platform.
func (t Target) Executable(command string) string {
	if t.OS == "windows" {
		return command + ".exe"
	}
	return command
}

// settings of the environment that change what the compiler writes. They are
// taken out, or set, so that the machine's own do not count.
var settings = map[string]string{
	"CGO_ENABLED": "0", "GOAMD64": "v1", "GOARM64": "v8.0", "GOEXPERIMENT": "", "GOFIPS140": "off", "GOFLAGS": "", "GOWORK": "off",
}

// Build writes the static executables of the commands of module root, named
// manager and so on after their folders in cmd, into folder. They carry neither
// symbols, which stack traces do not need, nor paths of this machine.
func Build(ctx context.Context, root, folder string, target Target, version string, commands ...string) error {
	for _, command := range commands {
		output, err := filepath.Abs(filepath.Join(folder, target.Executable(command)))
		if err != nil {
			return fmt.Errorf("cannot build %q: %w", command, err)
		}
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
			"-ldflags=-s -w -buildid= -X github.com/doorward/doorward/cmd/version.linked="+version, "-o", output, "./cmd/"+command)
		build.Dir = root
		build.Env = append(os.Environ(), "GOOS="+target.OS, "GOARCH="+target.Arch)
		for name, value := range settings {
			build.Env = append(build.Env, name+"="+value)
		}
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build %q for %s/%s: %w: %s", command, target.OS, target.Arch, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// Source says what is being built.
type Source struct {
	// Version and Tag are as hack/version.sh says; Commit is the whole name, or "unknown".
	Version, Tag, Commit string
	// Time is the commit's.
	Time time.Time
}

// Describe asks hack/version.sh of the module root.
func Describe(ctx context.Context, root string) (Source, error) {
	var answers [4]string
	for i, what := range []string{"", "tag", "commit", "time"} {
		out, err := exec.CommandContext(ctx, filepath.Join(root, "hack", "version.sh"), what).Output()
		if err != nil {
			return Source{}, fmt.Errorf("cannot tell the version of %q: %w", root, err)
		}
		answers[i] = strings.TrimSpace(string(out))
	}
	var seconds int64
	if _, err := fmt.Sscanf(answers[3], "%d", &seconds); err != nil {
		return Source{}, fmt.Errorf("cannot tell the time of %q: write SOURCE_DATE_EPOCH in seconds: %q", root, answers[3])
	}
	return Source{Version: answers[0], Tag: answers[1], Commit: answers[2], Time: time.Unix(seconds, 0).UTC()}, nil
}
