// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

// TestForeign is checklist 47 and 48: what a destination says shows no secret
// and acts on no terminal.
func TestForeign(t *testing.T) {
	cases := map[string]struct {
		reason, text, want string
	}{
		"Plain":   {"text stays readable", " no such bucket\n", `"no such bucket"`},
		"Control": {"escape sequences and line feeds show", "a\x1b[2K\nb\u202e", `"a\x1b[2K\nb\u202e"`},
		"Secret":  {"a secret that is sent back is taken out", "bad token s3cr3t!", `"bad token [redacted]!"`},
		"Long":    {"only the beginning is shown", strings.Repeat("x", 5000), `"` + strings.Repeat("x", 512) + ` [cut]"`},
		"Wide":    {"also where its quoted form is long", strings.Repeat("\x00", 5000), `"` + strings.Repeat(`\x00`, 121) + ` [cut]"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, sink.Foreign(tc.text, "", "s3cr3t")); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestAppendLine(t *testing.T) {
	r := sinktest.Records(7, 8)[0]
	line, err := sink.AppendLine([]byte("x"), r, nil)
	if err != nil || string(line) != "x"+string(r.JSON)+"\n" {
		t.Errorf("AppendLine: %q, %v", line, err)
	}
	errBoom := errors.New("boom")
	for name, encode := range map[string]sink.Encoder{
		"Fails":    func([]byte, record.Record) ([]byte, error) { return nil, errBoom },
		"TwoLines": func(dst []byte, _ record.Record) ([]byte, error) { return append(dst, "a\nb"...), nil },
	} {
		if _, err := sink.AppendLine(nil, r, encode); err == nil || !strings.Contains(err.Error(), r.Position.ID()) {
			t.Errorf("%s: %v, want an error that names %q", name, err, r.Position.ID())
		}
	}
}
