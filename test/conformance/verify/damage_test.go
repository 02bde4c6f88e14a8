// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/proxy/record/verify"
)

// TestDamage: a log's directory whose files were changed without regard to
// their form.
func TestDamage(t *testing.T) {
	original := newHistory(t, 2000)
	within := func(data []byte, index string) int {
		at := bytes.Index(data, []byte(`"index":`+index+`,`))
		if at < 0 {
			t.Fatalf("no record %s", index)
		}
		return at
	}
	cases := map[string]struct {
		reason string
		change func(data []byte) []byte
		// want are the verdicts, with the record each must name.
		want []verify.Finding
	}{
		"Checksum": {
			"a record changed, its checksum not: it is read, and named",
			func(data []byte) []byte {
				data[within(data, "700")+200] ^= 1
				return data
			},
			[]verify.Finding{{Verdict: verify.Edited, First: 700}},
		},
		"ChecksumOnly": {
			"a checksum changed, the record not: the record is proven by more than that",
			func(data []byte) []byte {
				data[bytes.LastIndex(data[:within(data, "700")], []byte(`{"schema"`))-1] ^= 1
				return data
			},
			nil,
		},
		"Length": {
			"a length changed: reading goes on behind it",
			func(data []byte) []byte {
				data[bytes.LastIndex(data[:within(data, "700")], []byte(`{"schema"`))-7] ^= 1
				return data
			},
			[]verify.Finding{{Verdict: verify.Unreadable, First: 700}, {Verdict: verify.Missing, First: 700}},
		},
		"Zeros": {
			"records wiped out in the middle",
			func(data []byte) []byte {
				clear(data[within(data, "700"):within(data, "702")])
				return data
			},
			[]verify.Finding{{Verdict: verify.Unreadable, First: 700}, {Verdict: verify.Missing, First: 700}},
		},
		"TornTail": {
			"the end broken off within a record: the sink's cursor knows of it",
			func(data []byte) []byte { return data[:within(data, "1500")+100] },
			[]verify.Finding{{Verdict: verify.Truncated, First: 1500}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := original.copy(t)
			path := filepath.Join(h.dir, "00000000000000000000.log")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, tc.change(data), 0o600); err != nil {
				t.Fatal(err)
			}
			r, _ := timed(t, verify.Options{}, h.dir)
			if r.OK != (len(tc.want) == 0) {
				t.Errorf("%s: OK is %v", tc.reason, r.OK)
			}
			for _, want := range tc.want {
				found := false
				for _, f := range r.All() {
					found = found || f.Verdict == want.Verdict && f.First == want.First
				}
				if !found {
					t.Errorf("%s: no %s at %d in %+v", tc.reason, want.Verdict, want.First, r.All())
				}
			}
		})
	}
}
