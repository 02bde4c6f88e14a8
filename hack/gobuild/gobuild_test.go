// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gobuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tree is a folder with the script and a chart of the given version.
func tree(t *testing.T, version string) string {
	t.Helper()
	root := t.TempDir()
	script, err := os.ReadFile(filepath.Join("..", "version.sh"))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.MkdirAll(filepath.Join(root, "hack"), 0o755), os.MkdirAll(filepath.Join(root, "charts", "doorward"), 0o755),
		os.WriteFile(filepath.Join(root, "hack", "version.sh"), script, 0o755),
		os.WriteFile(filepath.Join(root, "charts", "doorward", "Chart.yaml"), []byte("name: doorward\nversion: "+version+"\nappVersion: \"9\"\n"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func git(t *testing.T, root string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	command.Dir = root
	command.Env = append(os.Environ(), "GIT_COMMITTER_DATE=2026-11-22T09:00:00Z", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestDescribe(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "")
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	when := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		reason  string
		prepare func(t *testing.T, root string)
		want    Source // COMMIT and SHORT stand for the commit's name and its twelve first digits
	}{
		"NoHistory": {
			"An unpacked archive knows no commit.",
			func(*testing.T, string) {},
			Source{Version: "1.2.3-dev", Tag: "1.2.3-dev", Commit: "unknown", Time: time.Unix(0, 0).UTC()},
		},
		"Commit": {
			"What bears no tag is no release.",
			func(t *testing.T, root string) { t.Helper(); commit(t, root) },
			Source{Version: "1.2.3-dev+gSHORT", Tag: "1.2.3-dev.gSHORT", Commit: "COMMIT", Time: when},
		},
		"OtherTag": {
			"The chart says another version than the tag.",
			func(t *testing.T, root string) { t.Helper(); commit(t, root); git(t, root, "tag", "v1.2.4") },
			Source{Version: "1.2.3-dev+gSHORT", Tag: "1.2.3-dev.gSHORT", Commit: "COMMIT", Time: when},
		},
		"Dirty": {
			"What was changed since the tag is no release.",
			func(t *testing.T, root string) {
				t.Helper()
				commit(t, root)
				git(t, root, "tag", "v1.2.3")
				if err := os.WriteFile(filepath.Join(root, "charts", "doorward", "Chart.yaml"), []byte("version: 1.2.3\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			Source{Version: "1.2.3-dev+gSHORT.dirty", Tag: "1.2.3-dev.gSHORT.dirty", Commit: "COMMIT", Time: when},
		},
		"Untracked": {
			"A file that git does not know is compiled, too.",
			func(t *testing.T, root string) {
				t.Helper()
				commit(t, root)
				git(t, root, "tag", "v1.2.3")
				if err := os.WriteFile(filepath.Join(root, "more.go"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			Source{Version: "1.2.3-dev+gSHORT.dirty", Tag: "1.2.3-dev.gSHORT.dirty", Commit: "COMMIT", Time: when},
		},
		"Release": {
			"The commit of the tag, unchanged.",
			func(t *testing.T, root string) { t.Helper(); commit(t, root); git(t, root, "tag", "v1.2.3") },
			Source{Version: "1.2.3", Tag: "1.2.3", Commit: "COMMIT", Time: when},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			root := tree(t, "1.2.3")
			tc.prepare(t, root)
			got, err := Describe(t.Context(), root)
			if err != nil {
				t.Fatal(err)
			}
			if tc.want.Commit == "COMMIT" {
				head := git(t, root, "rev-parse", "HEAD")
				for _, text := range []*string{&tc.want.Version, &tc.want.Tag, &tc.want.Commit} {
					*text = strings.NewReplacer("COMMIT", head, "SHORT", head[:12]).Replace(*text)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func commit(t *testing.T, root string) {
	t.Helper()
	git(t, root, "init", "--quiet")
	git(t, root, "add", ".")
	git(t, root, "commit", "--quiet", "--message", "all")
}

func TestDescribeRefuses(t *testing.T) {
	for _, version := range []string{"v1.2.3", "1.2", "", "1.2.3+build"} {
		if got, err := Describe(t.Context(), tree(t, version)); err == nil {
			t.Errorf("version %q of the chart was taken for %+v", version, got)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if got, err := Describe(t.Context(), tree(t, "1.2.3")); err == nil {
		t.Errorf("a time that is no number was taken for %+v", got)
	}
}

func TestParseTarget(t *testing.T) {
	if got, err := ParseTarget("linux/amd64"); err != nil || got != (Target{"linux", "amd64"}) {
		t.Errorf("linux/amd64 is %+v, %v", got, err)
	}
	for _, text := range []string{"", "linux", "/amd64", "linux/", "linux/arm/v7"} {
		if got, err := ParseTarget(text); err == nil {
			t.Errorf("%q was taken for %+v", text, got)
		}
	}
	if got := (Target{OS: "windows", Arch: "amd64"}).Executable("tool"); got != "tool.exe" {
		t.Errorf("a command of Windows is named %q", got)
	}
}
