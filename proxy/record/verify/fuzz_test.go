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

// FuzzVerify: checklist 45. Whatever is done to the bytes of a log that a
// checkpoint covers, it is never found to be fine with other records than its
// own, and the verifier never fails.
func FuzzVerify(f *testing.F) {
	b := newBuilder(f)
	for range 3 {
		b.add(5)
		b.checkpoint(false)
	}
	b.rotate()
	b.add(3)
	b.checkpoint(true)
	whole := append(bytes.Join(b.lines, []byte("\n")), '\n')
	trusted := []verify.Trusted{b.trusted(b.size() - 1)}
	for _, at := range []int{0, 60, 200, len(whole) / 2, len(whole) - 3} {
		f.Add(uint32(at), uint32(1), []byte{'x'})
		f.Add(uint32(at), uint32(0), []byte("\n"))
		f.Add(uint32(at), uint32(300), []byte{})
		f.Add(uint32(at), uint32(700), whole[at/2:])
	}
	dir := f.TempDir()
	path := filepath.Join(dir, "log.jsonl")
	f.Fuzz(func(t *testing.T, at, length uint32, insert []byte) {
		from := int(at) % (len(whole) + 1)
		to := min(from+int(length)%(2*len(whole)), len(whole))
		changed := append(append(append([]byte(nil), whole[:from]...), insert...), whole[to:]...)
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := verify.Verify(t.Context(), []string{path}, verify.Options{Trusted: trusted, TempDir: dir, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK {
			return
		}
		// All records must be there, as they were.
		for i, line := range b.lines[:len(b.lines)-1] {
			if !bytes.Contains(changed, line) {
				t.Fatalf("record %d was changed and the report is fine: %+v", i, r)
			}
		}
	})
}
