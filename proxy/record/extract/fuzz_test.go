// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package extract_test

import (
	"bytes"
	"testing"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
)

// FuzzCheck: whatever comes, nothing that no key has signed is said to hold.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"schema":"doorward.dev/extract/v1","log":"x","session":"s","key":"k"}` + "\n"))
	f.Add([]byte(`{"schema":"doorward.dev/extract/v1","leaves":"0:4611686018427387904:"}` + "\n"))
	f.Add([]byte(`{"schema":"doorward.dev/record/v1","log":"x","index":0}` + "\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		report, err := extract.Check(bytes.NewReader(data), func(record.Record) error { return nil })
		if err == nil && (report.Records == 0 || report.Size == 0) {
			t.Errorf("holds: %+v", report)
		}
		_ = extract.Follow(bytes.NewReader(data), func(record.Record) error { return nil }, func(report *extract.Report) error {
			if report.Records == 0 || report.Size == 0 {
				t.Errorf("is proven: %+v", report)
			}
			return nil
		})
	})
}
