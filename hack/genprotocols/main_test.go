// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProtocols(t *testing.T) {
	const protocol = "package x\nfunc New() int { return 0 }\n"
	for name, tc := range map[string]struct {
		reason  string
		files   map[string]string
		want    []string
		wantErr string
	}{
		"sorted, without the list and the test kit": {
			reason: "only folders with a protocol are listed",
			files: map[string]string{
				"protocol.go": "package protocol", "mysql/x.go": protocol, "http/x.go": protocol,
				"all/x.go": "package all", "protocoltest/x.go": "package protocoltest",
			},
			want: []string{"http", "mysql"},
		},
		"folder of folders": {
			reason: "parts of a protocol are none yet",
			files:  map[string]string{"http/x.go": protocol, "ssh/sftp/x.go": "package sftp"},
			want:   []string{"http"},
		},
		"folder without New": {
			reason:  "a half-made protocol is an error, not left out in silence",
			files:   map[string]string{"mysql/x.go": "package mysql\nfunc (T) New() {}\nfunc New(int) {}\ntype T int"},
			wantErr: `folder is no protocol: "mysql"`,
		},
		"New in a test only": {
			reason:  "tests are not in the build",
			files:   map[string]string{"mysql/x.go": "package x", "mysql/x_test.go": protocol},
			wantErr: `folder is no protocol: "mysql"`,
		},
		"no protocol": {
			reason:  "a proxy that speaks nothing is a mistake",
			wantErr: "there is no protocol",
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			for file, content := range tc.files {
				path := filepath.Join(folder, filepath.FromSlash(file))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := protocols(folder)
			if (err == nil) != (tc.wantErr == "") || err != nil && !strings.HasPrefix(err.Error(), tc.wantErr) {
				t.Fatalf("%s: got error %v, want %q", tc.reason, err, tc.wantErr)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestListIsUpToDate(t *testing.T) {
	names, err := protocols(filepath.Join("..", "..", "proxy", "protocol"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := render(names)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join("..", "..", "proxy", "protocol", listFolder, listFile))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run `make generate` (-want +got):\n%s", diff)
	}
}
