// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

var (
	hashed = policy.Method{Type: policy.Hash}
	digit  = policy.Method{Type: policy.Digits}
)

func withKey(first byte) Rules {
	return Compile([]policy.Mask{{Policy: "p", Name: "m", Fields: []string{"f"}, Method: hashed}}, Key{first, 2, 3})
}

func (r Rules) textOf(t *testing.T, m policy.Method, k Kind, value string) string {
	t.Helper()
	out, null := r.Append(nil, m, k, false, []byte(value))
	if null {
		return "NULL"
	}
	return string(out)
}

func int64Bytes(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func TestKinds(t *testing.T) {
	r := withKey(1)
	token := `^[A-Za-z0-9_-]{22}$`
	cases := map[string]struct {
		reason string
		method policy.Method
		kind   Kind
		value  string
		want   string
	}{
		"RedactText":    {reason: "text stays text", method: redact, kind: Text, value: "x", want: `^\[masked\]$`},
		"RedactJSON":    {reason: "JSON stays JSON", method: redact, kind: JSON, value: `{"a":1}`, want: `^"\[masked\]"$`},
		"KeepJSON":      {reason: "the end of JSON is no JSON", method: keep(4), kind: JSONB, value: `{"a":123456}`, want: `^"\[masked\]"$`},
		"DigitsJSON":    {reason: "other digits may be no JSON", method: digit, kind: JSON, value: `{"a":1}`, want: `^"\[masked\]"$`},
		"HashJSON":      {reason: "a token is a JSON string", method: hashed, kind: JSON, value: `{"a":1}`, want: `^"[A-Za-z0-9_-]{22}"$`},
		"HashText":      {reason: "a token of fixed length", method: hashed, kind: Text, value: strings.Repeat("x", 5000), want: token},
		"HashEmpty":     {reason: "also of nothing", method: hashed, kind: Text, value: "", want: token},
		"HashUUID":      {reason: "a valid UUID of version 8", method: hashed, kind: UUID, value: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", want: `^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`},
		"HashNoUUID":    {reason: "what is none has no hash as one", method: hashed, kind: UUID, value: "a0eebc99", want: "^NULL$"},
		"HashInt":       {reason: "an integer", method: hashed, kind: Int4, value: "-17", want: `^\d+$`},
		"HashNoInt":     {reason: "not in the type's range", method: hashed, kind: Int2, value: "40000", want: "^NULL$"},
		"HashNumeric":   {reason: "eighteen digits", method: hashed, kind: Numeric, value: "12.34", want: `^\d{18}$`},
		"HashNaN":       {reason: "it has no digits", method: hashed, kind: Numeric, value: "NaN", want: "^NULL$"},
		"DigitsText":    {reason: "what is no digit stays", method: digit, kind: Text, value: "4111-1111 x", want: `^\d{4}-\d{4} x$`},
		"DigitsScripts": {reason: "each script keeps its digits", method: digit, kind: Text, value: "٤٢ ４２", want: `^[٠-٩]{2} [０-９]{2}$`},
		"DigitsNone":    {reason: "nothing would be masked", method: digit, kind: Text, value: "Anna", want: `^\[masked\]$`},
		"DigitsSuper":   {reason: "a number that is no digit would stay", method: digit, kind: Text, value: "1 m²", want: `^\[masked\]$`},
		"DigitsRoman":   {reason: "as would this", method: digit, kind: Text, value: "1 Ⅷ", want: `^\[masked\]$`},
		"DigitsInvalid": {reason: "bytes that are no characters", method: digit, kind: Text, value: "1\xff", want: `^\[masked\]$`},
		"DigitsInt":     {reason: "sign and length stay", method: digit, kind: Int4, value: "-1700", want: `^-[1-9]\d{3}$`},
		"DigitsZero":    {reason: "one digit", method: digit, kind: Int8, value: "0", want: `^\d$`},
		"DigitsNumeric": {reason: "sign, length and scale stay", method: digit, kind: Numeric, value: "-1234.50", want: `^-[1-9]\d{3}\.\d{2}$`},
		"RedactInt":     {reason: "no integer says that something was there", method: redact, kind: Int4, value: "1", want: "^NULL$"},
		"KeepInt":       {reason: "the end of an integer is another integer", method: keep(2), kind: Int8, value: "123456", want: "^NULL$"},
		"HashFloat":     {reason: "rounding would tell equal values apart", method: hashed, kind: Float8, value: "1.5", want: "^NULL$"},
		"HashDate":      {reason: "not kept", method: hashed, kind: Date, value: "2026-11-22", want: "^NULL$"},
		"HashBytes":     {reason: "not kept", method: hashed, kind: Bytes, value: `\x00`, want: "^NULL$"},
		"HashOther":     {reason: "a shape that nobody knows", method: hashed, kind: Other, value: "{1}", want: "^NULL$"},
		"NullText":      {reason: "Null is NULL for every kind", method: null, kind: JSON, value: "1", want: "^NULL$"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := r.textOf(t, tc.method, tc.kind, tc.value); !regexp.MustCompile(tc.want).MatchString(got) {
				t.Errorf("%s: %q became %q, want %s", tc.reason, tc.value, got, tc.want)
			}
		})
	}
}

// TestNoKey: nothing is hashed under a key that everyone knows.
func TestNoKey(t *testing.T) {
	for _, r := range []Rules{{}, Compile([]policy.Mask{{Policy: "p", Name: "m"}}, Key{})} {
		for _, m := range []policy.Method{hashed, digit} {
			if got := r.textOf(t, m, Text, "1"); got != redacted {
				t.Errorf("%s of a text without a key: %q", m.Type, got)
			}
			if got := r.textOf(t, m, Int4, "1"); got != "NULL" {
				t.Errorf("%s of an integer without a key: %q", m.Type, got)
			}
			if got := r.textOf(t, m, JSON, "1"); got != `"[masked]"` {
				t.Errorf("%s of JSON without a key: %q", m.Type, got)
			}
		}
	}
}

// TestKeyPrintsNothing: checklist on secrets in logs, for every verb and form.
func TestKeyPrintsNothing(t *testing.T) {
	key := Key{0xde, 0xad, 0xbe, 0xef}
	encoded, err := json.Marshal(struct{ K Key }{key})
	if err != nil {
		t.Fatal(err)
	}
	shown := string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		shown += fmt.Sprintf(verb, key) + fmt.Sprintf(verb, struct{ K Key }{key})
	}
	if lower := strings.ToLower(shown); strings.Contains(lower, "dead") || strings.Contains(lower, "222") || strings.Contains(lower, "0xde") {
		t.Errorf("the key shows: %s", shown)
	}
}

// TestKeysDiffer: on another Connection everything is another.
func TestKeysDiffer(t *testing.T) {
	a, b := withKey(1), withKey(2)
	for kind, value := range map[Kind]string{Text: "alice", UUID: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", Int8: "1234567890123", Numeric: "1234567890.123"} {
		for _, m := range []policy.Method{hashed, digit} {
			x, y := a.textOf(t, m, kind, value), b.textOf(t, m, kind, value)
			if x == y && x != redacted {
				t.Errorf("%s of %q is %q under two keys", m.Type, value, x)
			}
			if again := withKey(1).textOf(t, m, kind, value); again != x {
				t.Errorf("%s of %q is %q, and then %q", m.Type, value, x, again)
			}
		}
	}
}

// TestJoins: equal values stay equal across formats and the widths that are
// joined.
func TestJoins(t *testing.T) {
	r := withKey(1)
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		n := random.Int64() >> random.IntN(63)
		if random.IntN(4) == 0 {
			n = -n - random.Int64N(2)
		}
		text := strconv.FormatInt(n, 10)
		for _, m := range []policy.Method{hashed, digit} {
			want := r.textOf(t, m, Int8, text)
			out, null := r.Append(nil, m, Int8, true, int64Bytes(n))
			if null || strconv.FormatInt(int64(binary.BigEndian.Uint64(out)), 10) != want {
				t.Fatalf("%s of %d: text %s, binary %x", m.Type, n, want, out)
			}
			if got := r.textOf(t, m, Numeric, text); got != want {
				t.Fatalf("%s of %d: integer %s, numeric %s", m.Type, n, want, got)
			}
			if n >= math.MinInt32 && n <= math.MaxInt32 {
				if got := r.textOf(t, m, Int4, text); got != want {
					t.Fatalf("%s of %d: eight bytes %s, four %s", m.Type, n, want, got)
				}
			}
		}
		if got, want := r.textOf(t, hashed, Numeric, text+".000"), r.textOf(t, hashed, Int8, text); got != want {
			t.Fatalf("Hash of %s.000: %s, of %s: %s", text, got, text, want)
		}
	}
	if a, b := r.textOf(t, hashed, Char, "alice   "), r.textOf(t, hashed, Text, "alice"); a != b {
		t.Errorf("the blanks of char(n) tell %q from %q", a, b)
	}
	id := "A0EEBC999C0B4EF8BB6D6BB9BD380A11"
	raw, err := hex.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	out, _ := r.Append(nil, hashed, UUID, true, raw)
	if got := strings.ReplaceAll(r.textOf(t, hashed, UUID, id), "-", ""); got != hex.EncodeToString(out) {
		t.Errorf("a UUID is %s as text, %x in binary", got, out)
	}
	binaryJSON, _ := r.Append(nil, hashed, JSONB, true, []byte("\x01{}"))
	if got := r.textOf(t, hashed, JSONB, "{}"); string(binaryJSON) != "\x01"+got {
		t.Errorf("JSONB is %s as text, %q in binary", got, binaryJSON)
	}
}

// TestHashIsOneToOne: a hashed key column stays unique, in its range.
func TestHashIsOneToOne(t *testing.T) {
	r := withKey(1)
	for _, small := range []bool{true, false} {
		seen := map[int64]int64{}
		for n := range int64(1 << 15) {
			h := r.keyed.hashInt(n, small)
			if other, taken := seen[h]; taken {
				t.Fatalf("%d and %d are both %d", n, other, h)
			}
			seen[h] = n
			if h < 0 || h > math.MaxInt32 || small && h > math.MaxInt16 {
				t.Fatalf("%d became %d", n, h)
			}
		}
	}
	for _, n := range []int64{math.MaxInt32, math.MaxInt32 + 1, math.MaxInt64, math.MinInt64, math.MinInt32, -1} {
		if h := r.keyed.hashInt(n, false); h < 0 || (n >= math.MinInt32 && n <= math.MaxInt32) != (h <= math.MaxInt32) {
			t.Errorf("%d became %d", n, h)
		}
	}
}

// TestDigitsInt: length, sign and range stay, at every border.
func TestDigitsInt(t *testing.T) {
	r := withKey(1)
	check := func(n int64, small bool) {
		t.Helper()
		got := r.keyed.digitsInt(n, small)
		if len(strconv.FormatInt(got, 10)) != len(strconv.FormatInt(n, 10)) && (n >= 0 || got != 0) {
			t.Errorf("%d became %d", n, got)
		}
		if small && (got < math.MinInt16 || got > math.MaxInt16) || n >= math.MinInt32 && n <= math.MaxInt32 && (got < math.MinInt32 || got > math.MaxInt32) {
			t.Errorf("%d became %d: out of range", n, got)
		}
	}
	for p := int64(1); p > 0 && p < math.MaxInt64/10; p *= 10 {
		for _, n := range []int64{p, p - 1, p * 9, -p} {
			check(n, false)
		}
	}
	for _, n := range []int64{math.MaxInt64, math.MinInt64, math.MaxInt32, math.MinInt32, math.MaxInt32 + 1, 0} {
		check(n, false)
	}
	for n := int64(math.MinInt16); n <= math.MaxInt16; n += 7 {
		check(n, true)
	}
}

// TestDigitsUniform: each digit comes as often as the others, whatever it was.
func TestDigitsUniform(t *testing.T) {
	r := withKey(1)
	var seen [10]int
	for i := range 2000 {
		for _, c := range r.textOf(t, digit, Text, fmt.Sprintf("%012d", i)) {
			seen[c-'0']++
		}
	}
	for d, n := range seen {
		if n < 2100 || n > 2700 {
			t.Errorf("%d came %d times of 24000", d, n)
		}
	}
	if a, b := r.textOf(t, digit, Text, "1111111111111111"), r.textOf(t, digit, Text, "1111111111111112"); a[:8] == b[:8] {
		t.Errorf("digits depend on their place only: %s, %s", a, b)
	}
}

// TestNumericBinary: the two formats say the same, and so do their masks.
func TestNumericBinary(t *testing.T) {
	r := withKey(1)
	random := rand.New(rand.NewPCG(8, 9))
	values := []string{"0", "1", "10000", "9999", "0.1", "0.0001", "0.00001", "123456789.987654321", "-1.50", "100000000", "0.00", "99999999999999999999999999"}
	for range 500 {
		text := strings.TrimLeft(fmt.Sprint(random.Uint64()), "0")
		values = append(values, text[:1+random.IntN(len(text))]+"."+fmt.Sprint(random.Uint64()))
	}
	for _, text := range values {
		raw := appendNumericBinary(nil, []byte(text))
		back, ok := appendNumericText(nil, raw)
		if !ok || string(back) != text {
			t.Fatalf("%s became %x, which is %s", text, raw, back)
		}
		for _, m := range []policy.Method{hashed, digit} {
			want := r.textOf(t, m, Numeric, text)
			out, null := r.Append([]byte("before"), m, Numeric, true, raw)
			if null || !bytes.HasPrefix(out, []byte("before")) {
				t.Fatalf("%s of %s: %x, %t", m.Type, text, out, null)
			}
			if got, _ := appendNumericText(nil, out[6:]); string(got) != want {
				t.Fatalf("%s of %s: text %s, binary %s", m.Type, text, want, got)
			}
		}
	}
	// As PostgreSQL sends -12345.678: -1 x (1*10^4 + 2345 + 0.6780).
	want := []byte{0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c}
	if got := appendNumericBinary(nil, []byte("-12345.678")); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestConcurrentUse(t *testing.T) {
	r := withKey(1)
	want := r.textOf(t, hashed, Text, "alice") + r.textOf(t, digit, Text, "1234567") + r.textOf(t, hashed, Int8, "77")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 300 {
				if got := r.textOf(t, hashed, Text, "alice") + r.textOf(t, digit, Text, "1234567") + r.textOf(t, hashed, Int8, "77"); got != want {
					t.Errorf("got %q, want %q", got, want)
					return
				}
			}
		})
	}
	all.Wait()
}

func FuzzAppend(f *testing.F) {
	for _, value := range []string{"", "1", "-1", "1.5", "NaN", "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "4111", `{"a":1}`, "\xff"} {
		f.Add([]byte(value))
	}
	r := withKey(1)
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, m := range []policy.Method{redact, null, keep(2), hashed, digit} {
			for kind := Other; kind <= Inet; kind++ {
				for _, inBinary := range []bool{false, true} {
					out, isNull := r.Append([]byte("x"), m, kind, inBinary, value)
					if isNull && string(out) != "x" {
						t.Fatalf("NULL, and %q", out)
					}
					if isNull {
						continue
					}
					if again, _ := r.Append(nil, m, kind, inBinary, value); !bytes.Equal(again, out[1:]) {
						t.Fatalf("%s of %q: %q, and then %q", m.Type, value, out[1:], again)
					}
					if kind.width() > 0 {
						if _, ok := decodeInt(kind, inBinary, out[1:]); !ok {
							t.Fatalf("%s of %q: %q is no integer of %d bytes", m.Type, value, out[1:], kind.width())
						}
					}
				}
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	r := withKey(1)
	room := make([]byte, 0, 4096)
	for name, c := range map[string]struct {
		method policy.Method
		kind   Kind
		value  string
	}{
		"Redact/text": {redact, Text, "alice@example.com"}, "KeepLast/text": {keep(4), Text, "4111111111111111"}, "Hash/text": {hashed, Text, "alice@example.com"},
		"Hash/int8": {hashed, Int8, "1234567"}, "Hash/uuid": {hashed, UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}, "Digits/text": {digit, Text, "4111 1111 1111 1111"},
		"Digits/int4": {digit, Int4, "123456"}, "Digits/numeric": {digit, Numeric, "1234.56"},
	} {
		value := []byte(c.value)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(value)))
			b.ReportAllocs()
			for b.Loop() {
				r.Append(room, c.method, c.kind, false, value)
			}
		})
	}
}
