// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/json"
	"testing"
)

// FuzzStrict reads what is behind a signature: whatever is taken is one JSON
// document, and reads the same when it is written anew.
func FuzzStrict(f *testing.F) {
	for _, value := range []any{sealedForm(sample()), Heartbeat{UID: "u", Revision: 7}} {
		plain, err := json.Marshal(value)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
		f.Add(plain[:len(plain)/2])
		f.Add(append(plain, ']'))
	}
	f.Add([]byte(`null`))
	f.Add([]byte(`{"uid":"a"}{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		reads[sealed](t, data)
		reads[Heartbeat](t, data)
	})
}

func reads[T any](t *testing.T, data []byte) {
	t.Helper()
	var value, again T
	if strict(data, &value) != nil {
		return
	}
	if !json.Valid(data) {
		t.Errorf("taken, but not one JSON document: %q", data)
	}
	plain, err := json.Marshal(value)
	if err != nil {
		t.Fatalf("read, but cannot be written: %v", err)
	}
	if err := strict(plain, &again); err != nil {
		t.Errorf("written anew, it is refused: %v: %q", err, plain)
	}
}
