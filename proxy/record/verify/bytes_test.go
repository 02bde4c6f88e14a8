// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/record/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEveryByte: checklist 45. Whichever byte of a covered record is changed,
// that very record is named; where its index was changed to another's, that one
// is named too, as two are there. Every seventeenth byte is tried,
// all of them with DOORWARD_LONG=1.
func TestEveryByte(t *testing.T) {
	b := newBuilder(t)
	for range 2 {
		b.add(3)
		b.checkpoint(false)
	}
	b.rotate()
	b.add(2)
	b.checkpoint(true)
	whole := append(bytes.Join(b.lines, []byte("\n")), '\n')
	covered := len(whole) - len(b.lines[len(b.lines)-1]) - 1
	trusted := []verify.Trusted{b.trusted(b.size() - 1)}
	path, dir, step := filepath.Join(t.TempDir(), "log"), t.TempDir(), 17
	if os.Getenv("DOORWARD_LONG") == "1" {
		step = 1
	}
	for at := 0; at < covered; at += step {
		index := int64(bytes.Count(whole[:at], []byte("\n")))
		if whole[at] == '\n' {
			continue // joins two lines: either is named
		}
		changed := bytes.Clone(whole)
		changed[at] ^= 0x02
		if changed[at] == '\n' {
			continue
		}
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := verify.Verify(t.Context(), []string{path}, verify.Options{Trusted: trusted, TempDir: dir, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, log := range r.Logs {
			for _, f := range log.Findings {
				found = found || log.Log == b.id && f.First == index && f.Exact
			}
		}
		if r.OK || !found {
			t.Errorf("byte %d, %q, of record %d changed: findings %+v", at, whole[at-min(at, 20):at+1], index, r.All())
		}
	}
}
