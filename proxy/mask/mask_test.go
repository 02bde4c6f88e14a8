// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/policy"
)

var (
	redact = policy.Method{Type: "Redact"}
	null   = policy.Method{Type: "Null"}
)

func keep(n int32) policy.Method { return policy.Method{Type: "KeepLast", KeepLast: n} }

func text(m policy.Method, value []byte) []byte {
	out, _ := Rules{}.Append(nil, m, Text, false, value)
	return out
}

func TestText(t *testing.T) {
	const family = "\U0001F468\u200d\U0001F469"
	cases := map[string]struct {
		reason string
		method policy.Method
		value  string
		want   string
		null   bool
	}{
		"Redact":         {reason: "nothing is left, not even the length", method: redact, value: "alice@example.com", want: "[masked]"},
		"RedactEmpty":    {reason: "an empty value is not told apart", method: redact, value: "", want: "[masked]"},
		"Null":           {reason: "Null makes NULL", method: null, value: "alice", null: true},
		"KeepLast":       {reason: "the end of a card number stays", method: keep(4), value: "4111111111111234", want: "************1234"},
		"KeepHalf":       {reason: "half of a value would give it away", method: keep(4), value: "12345678", want: "[masked]"},
		"KeepUnderHalf":  {reason: "one more character than half", method: keep(4), value: "123456789", want: "*****6789"},
		"KeepEmpty":      {reason: "an empty value is redacted", method: keep(4), value: "", want: "[masked]"},
		"KeepNone":       {reason: "a count of none keeps nothing", method: keep(0), value: "123456789", want: "[masked]"},
		"KeepNegative":   {reason: "nor does a negative one", method: keep(-3), value: "123456789", want: "[masked]"},
		"KeepHuge":       {reason: "a count beyond the value shows nothing", method: keep(1 << 30), value: "123456789", want: "[masked]"},
		"KeepRunes":      {reason: "characters are counted, not bytes", method: keep(2), value: "äöüßé", want: "***ßé"},
		"KeepCombining":  {reason: "a mark does not move to a star", method: keep(2), value: "abcde\u0301f", want: "******f"},
		"KeepJoined":     {reason: "joined characters are hidden together", method: keep(1), value: "abc" + family, want: "[masked]"},
		"KeepAfterJoin":  {reason: "what follows a joined character may stay", method: keep(1), value: "ab" + family + "z", want: "*****z"},
		"KeepOnlyMarks":  {reason: "marks alone are nothing to keep", method: keep(2), value: "abcd\u0301\u0302", want: "[masked]"},
		"KeepInvalid":    {reason: "bytes that are not UTF-8 have no characters", method: keep(2), value: "abcde\xff\xfe", want: "[masked]"},
		"KeepInvalidTop": {reason: "wherever they stand", method: keep(2), value: "\xffabcdef", want: "[masked]"},
		"UnknownMethod":  {reason: "an unknown method redacts", method: policy.Method{Type: "Scramble"}, value: "alice", want: "[masked]"},
		"NoMethod":       {reason: "no method redacts", value: "alice", want: "[masked]"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, null := Rules{}.Append(nil, tc.method, Text, false, []byte(tc.value))
			if tc.null != null || string(got) != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
			appended, isNull := Rules{}.Append([]byte("before "), tc.method, Text, false, []byte(tc.value))
			if isNull != tc.null || string(appended) != "before "+tc.want {
				t.Errorf("%s: Append = %q, %t", tc.reason, appended, isNull)
			}
		})
	}
}

// checkText holds the promises for any value and count.
func checkText(t *testing.T, value []byte, n int32) {
	t.Helper()
	// Redact and Null do not depend on the value, so they show nothing of it.
	if got := text(redact, value); string(got) != redacted {
		t.Errorf("Redact of %q = %q", value, got)
	}
	if got := text(null, value); got != nil {
		t.Errorf("Null of %q = %q", value, got)
	}
	got := text(keep(n), value)
	if string(got) == redacted {
		return
	}
	tail := bytes.TrimLeft(got, "*")
	stars := len(got) - len(tail)
	shown, total := utf8.RuneCount(tail), utf8.RuneCount(value)
	// A value may hold stars of its own at the border; they count as shown where
	// the hidden ones are fewer than the total says.
	if hidden := total - shown; stars < hidden || utf8.RuneCount(got) != total {
		t.Errorf("KeepLast %d of %q = %q: not one star for each hidden character", n, value, got)
	}
	if shown > int(n) || 2*shown >= total {
		t.Errorf("KeepLast %d of %q = %q: shows %d of %d characters", n, value, got, shown, total)
	}
	if !bytes.HasSuffix(value, tail) {
		t.Errorf("KeepLast %d of %q = %q: not the end of the value", n, value, got)
	}
	if !utf8.Valid(got) {
		t.Errorf("KeepLast %d of %q = %q: not UTF-8", n, value, got)
	}
	// What is hidden may consist of stars, which hide themselves.
	concealed := strings.Trim(string(value[:len(value)-len(tail)]), "*")
	if len(value) >= 4 && concealed != "" && bytes.Contains(got, value) {
		t.Errorf("KeepLast %d of %q = %q: shows the value", n, value, got)
	}
}

func FuzzText(f *testing.F) {
	for _, value := range []string{"", "4111111111111234", "äöüß", "\xff\xfe", "e\u0301e\u0301e\u0301", "****1", "[masked]", "a\u200db\u200dc"} {
		f.Add([]byte(value), int32(4))
		f.Add([]byte(value), int32(1))
	}
	f.Fuzz(checkText)
}

func TestTextProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 11))
	letters := []string{"a", "é", "*", "\u0301", "\u200d", "\U0001F469", "\U0001F3FD", "\xff", "1", "\x00", " "}
	for range 20000 {
		var value []byte
		for range random.IntN(14) {
			value = append(value, letters[random.IntN(len(letters))]...)
		}
		checkText(t, value, random.Int32N(8)-1)
	}
}

// TestTextOwnsItsResult: a masked value must not change with the buffer that
// the value was read into.
func TestTextOwnsItsResult(t *testing.T) {
	value := []byte("4111111111111234")
	got := text(keep(4), value)
	copy(value, "XXXXXXXXXXXXXXXX")
	if string(got) != "************1234" {
		t.Errorf("the result changed with its input: %q", got)
	}
	again := text(redact, value)
	again[0] = 'X'
	if got := text(redact, value); string(got) != redacted {
		t.Errorf("a caller changed what others get: %q", got)
	}
}

func TestTextAllocates(t *testing.T) {
	value, room := []byte("4111111111111234"), make([]byte, 0, 64)
	for _, method := range []policy.Method{redact, null, keep(4)} {
		if n := testing.AllocsPerRun(100, func() { (Rules{}).Append(room, method, Text, false, value) }); n != 0 {
			t.Errorf("%+v allocates %v times, want none", method, n)
		}
	}
}

func masks() []policy.Mask {
	return []policy.Mask{
		{Policy: "p", Name: "emails", Fields: []string{"*.email"}, Method: redact},
		{Policy: "p", Name: "cards", Fields: []string{"public.customers.card", "public.customers.email"}, Method: keep(4)},
		{Policy: "q", Name: "cards", Fields: []string{"public.*.card"}, Method: keep(2)},
		{Policy: "q", Name: "vault", Fields: []string{"vault.*"}, Method: null},
		{Policy: "r", Name: "vault", Fields: []string{"vault.keys.*"}, Method: policy.Method{Type: "Scramble"}},
	}
}

func TestField(t *testing.T) {
	cases := map[string]struct {
		reason, field string
		want          policy.Method
		masked        bool
	}{
		"None":     {reason: "no mask names the field", field: "public.orders.id"},
		"Glob":     {reason: "a glob names it", field: "public.orders.email", want: redact, masked: true},
		"Stricter": {reason: "Redact shows less than KeepLast", field: "public.customers.email", want: redact, masked: true},
		"Fewer":    {reason: "the smaller count shows less", field: "public.customers.card", want: keep(2), masked: true},
		"Null":     {reason: "Null shows least, also beside an unknown method", field: "vault.keys.value", want: null, masked: true},
		"Case":     {reason: "names are compared as they are", field: "public.orders.EMAIL"},
	}
	rules := Compile(masks(), Key{})
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, masked := rules.Field(tc.field)
			if masked != tc.masked || got.Method != tc.want {
				t.Errorf("%s: got %+v, %t, want %+v, %t", tc.reason, got, masked, tc.want, tc.masked)
			}
		})
	}
}

// TestFieldOrder: the order of masks decides nothing.
func TestFieldOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	want := Compile(masks(), Key{})
	for range 50 {
		list := masks()
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		got := Compile(list, Key{})
		for _, field := range []string{"public.customers.card", "public.customers.email", "vault.keys.value"} {
			w, _ := want.Field(field)
			if g, _ := got.Field(field); g != w {
				t.Fatalf("%s: %+v and %+v in another order", field, w, g)
			}
		}
	}
}

func TestNames(t *testing.T) {
	want := []string{"p/emails", "p/cards", "q/cards", "q/vault", "r/vault"}
	if diff := cmp.Diff(want, Compile(masks(), Key{}).Names()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !(Rules{}).Empty() || Compile(masks(), Key{}).Empty() {
		t.Error("Empty is true for no masks only")
	}
}

func BenchmarkText(b *testing.B) {
	value, room := []byte("4111111111111234"), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		Rules{}.Append(room, keep(4), Text, false, value)
	}
}
