// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package version

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	built := &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "vcs.revision", Value: "abc"}}}
	tests := map[string]struct {
		reason string
		linked string
		info   *debug.BuildInfo
		want   string
	}{
		"Linked":  {"A release is linked with its version.", "v1.2.3", built, "v1.2.3"},
		"Built":   {"A plain go build knows the commit.", "", built, "(devel) abc"},
		"Module":  {"go install knows the module's version only.", "", &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3"},
		"Empty":   {"Built without version control.", "", &debug.BuildInfo{}, "unknown"},
		"Nothing": {"Built without modules.", "", nil, "unknown"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := choose(tc.linked, tc.info); got != tc.want {
				t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// The linker passes over a name that does not exist.
func TestBuildsSetTheVariable(t *testing.T) {
	for _, name := range []string{"Makefile", "Dockerfile"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "-X github.com/doorward/doorward/cmd/version.linked=$") {
			t.Errorf("%s does not set the version", name)
		}
	}
}
