// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const maskCanary = "canary-canary-canary-canary-32-b"

func canaryKey(t *testing.T) MaskKey {
	t.Helper()
	key, err := NewMaskKey([]byte(maskCanary))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// shows says in which form a text holds the canary, or nothing.
func shows(text string) string {
	var numbers []string
	for i := range len(maskCanary) {
		numbers = append(numbers, strconv.Itoa(int(maskCanary[i])))
	}
	for form, value := range map[string]string{
		"bytes": maskCanary, "base64": base64.StdEncoding.EncodeToString([]byte(maskCanary)), "hex": hex.EncodeToString([]byte(maskCanary)),
		"numbers": strings.Join(numbers, " "), "JSON numbers": strings.Join(numbers, ","),
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(value)) {
			return form
		}
	}
	return ""
}

// TestMaskKeyNeverPrints: checklist 49: whatever prints a snapshot, or something
// that holds one, says nothing of the key of masks.
func TestMaskKeyNeverPrints(t *testing.T) {
	s := sample()
	s.MaskKey = canaryKey(t)
	type within struct {
		Public *Snapshot
		hidden Snapshot
		key    MaskKey
	}
	values := map[string]any{
		"Key": s.MaskKey, "KeyPointer": &s.MaskKey, "Snapshot": s, "SnapshotPointer": &s, "Within": within{&s, s, s.MaskKey},
		"Map": map[string]MaskKey{"key": s.MaskKey}, "Error": fmt.Errorf("cannot use %v: %+v", s.MaskKey, s),
	}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				if form := shows(fmt.Sprintf(verb, value)); form != "" {
					t.Errorf("%s prints it as %s", verb, form)
				}
			}
			plain, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "value", value)
			slog.New(slog.NewTextHandler(&log, nil)).Info("x", "value", value)
			for what, text := range map[string]string{"JSON": string(plain), "a log": log.String(), "a difference": difference(value)} {
				if form := shows(text); form != "" {
					t.Errorf("%s prints it as %s: %s", what, form, text)
				}
			}
		})
	}
}

// difference is what a failed test would print.
func difference(value any) string {
	switch v := value.(type) {
	case MaskKey:
		return cmp.Diff(v, MaskKey{})
	case Snapshot:
		return cmp.Diff(v, Snapshot{})
	}
	return ""
}

// TestMaskKeySealed: the sealed form alone holds the key, and Open gives it back.
func TestMaskKeySealed(t *testing.T) {
	signing, want := newKey(t), sample()
	want.MaskKey = canaryKey(t)
	data, err := Seal(want, signing)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Open(data, public(signing))
	if err != nil {
		t.Fatal(err)
	}
	if !got.MaskKey.Equal(want.MaskKey) || string(unpack(t, data[KeySnapshot])) == "" || shows(string(unpack(t, data[KeySnapshot]))) != "base64" {
		t.Error("the sealed form does not carry the key")
	}
	if d := cmp.Diff(want, *got); d != "" {
		t.Errorf("-sealed +opened:\n%s", d)
	}
	without, err := Seal(sample(), signing)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = Open(without, public(signing)); err != nil || !got.MaskKey.IsZero() {
		t.Errorf("Open = %v of a snapshot without a key, want none: %v", got, err)
	}
}

func unpack(t *testing.T, packed []byte) []byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestMaskKeyRefuses(t *testing.T) {
	for _, size := range []int{0, 1, MaskKeySize - 1, MaskKeySize + 1} {
		if key, err := NewMaskKey(make([]byte, size)); err == nil || !key.IsZero() {
			t.Errorf("a key of %d bytes was made", size)
		}
	}
	for _, plain := range []string{`{"maskKey":"AAAA"}`, `{"maskKey":"[redacted]"}`, `{"maskKey":{}}`} {
		var form sealed
		if err := strict([]byte(plain), &form); err == nil {
			if s, err := form.open(); err == nil {
				t.Errorf("%s was read: %v", plain, s)
			}
		}
	}
	var s Snapshot
	if err := json.Unmarshal([]byte(`{"maskKey":"`+base64.StdEncoding.EncodeToString([]byte(maskCanary))+`"}`), &s); err == nil {
		t.Error("a key was read from what is no sealed form")
	}
	key, other := canaryKey(t), MaskKey{}
	if key.Equal(other) || other.Equal(key) || !other.Equal(MaskKey{}) || !key.Equal(canaryKey(t)) {
		t.Error("keys are equal only to themselves")
	}
	if other.Bytes() != [MaskKeySize]byte{} {
		t.Error("no key is all zero")
	}
}
