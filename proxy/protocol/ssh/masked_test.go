// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/snapshot"
)

var redactEmail = policy.Mask{Policy: "p", Name: "m", Detect: []string{"Email"}, Method: policy.Method{Type: policy.Redact}}

// TestMasked: what detectors find in what programs say reaches neither the caller nor the record
// (checklist 18).
func TestMasked(t *testing.T) {
	b := newBench(t, startDaemon(t), func(c *protocoltest.Config, _ map[string]any) { c.Audit = snapshot.Audit{Responses: "Masked"} })
	b.Engine.Set(nil, redactEmail)
	b.Apply(t)
	var long strings.Builder
	for i := range 30000 {
		fmt.Fprintln(&long, i)
	}
	for name, test := range map[string]struct{ line, out, errs string }{
		"whole":       {"echo to alice@example.com now", "to [masked] now\n", ""},
		"in pieces":   {"printf 'to alice@exa'; sleep 1; printf 'mple.com now'", "to [masked] now", ""},
		"on both":     {"echo bob@example.com >&2; echo bob@example.com", "[masked]\n", "[masked]\n"},
		"among much":  {"seq 0 29999; echo alice@example.com; seq 0 29999", long.String() + "[masked]\n" + long.String(), ""},
		"at the end":  {"printf alice@example.com", "[masked]", ""},
		"nothing":     {"printf 'alice at example.com'", "alice at example.com", ""},
		"not a whole": {"printf 'alice@'", "alice@", ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, status := finish(t, b.ssh(t, "GATEWAY", test.line), "")
			if out != test.out || errs != test.errs || status != 0 {
				t.Errorf("%d bytes %.80q, err %q, status %d", len(out), out, errs, status)
			}
			r := b.result(t, test.line)
			if masked := strings.Count(test.out+test.errs, "[masked]"); r.MaskedValues != int64(masked) || (masked > 0) != slices.Equal(r.MaskedFields, []string{"content:Email"}) {
				t.Errorf("result %+v", r)
			}
			if r.Bytes != int64(len(test.out)+len(test.errs)) || strings.Contains(r.Response.Text, "@example") {
				t.Errorf("on record %+v", r.Response)
			}
		})
	}
}

// TestMaskedTerminal: at a terminal each key comes back soon, and recordings hold what was shown
// (checklist 18).
func TestMaskedTerminal(t *testing.T) {
	b := newBench(t, startDaemon(t))
	b.Engine.Set(nil, redactEmail)
	b.Apply(t)
	program, in, out := terminal(t, b.mustDial(t))
	fmt.Fprint(in, "unfinished")
	await(t, "what was typed", func() bool { return strings.Contains(out.String(), "unfinished") })
	fmt.Fprint(in, "\x15a=carol; echo $a@example.com\n")
	await(t, "an address", func() bool { return strings.Contains(out.String(), "[masked]") })
	fmt.Fprint(in, "exit\n")
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
	b.result(t, "shell")
	recorded := ""
	for _, part := range b.recordings() {
		recorded += part.Data
	}
	if all := out.String() + recorded; strings.Contains(all, "carol@example.com") || !strings.Contains(recorded, "[masked]") {
		t.Errorf("shown or recorded: %q", all)
	}
}

// TestUnmaskable: what cannot be masked is not shown (checklist 18).
func TestUnmaskable(t *testing.T) {
	b := newBench(t, startDaemon(t))
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "file"), []byte("alice@example.com\n"), 0o600)
	masks := func(list ...policy.Mask) {
		b.Engine.Set(nil, list...)
		b.Apply(t)
	}
	masks(redactEmail)
	for name, args := range map[string][]string{
		"forward":         {"ssh", "-W", "127.0.0.1:1", "GATEWAY"},
		"old scp":         {"scp", "-O", "GATEWAY:" + file, filepath.Join(dir, "back")},
		"scp":             {"scp", "GATEWAY:" + file, filepath.Join(dir, "back")},
		"other subsystem": {"ssh", "-s", "GATEWAY", "echo"},
	} {
		if out, errs, status := finish(t, b.client(t, args[0], args[1:]...), ""); status == 0 || strings.Contains(out, "alice") {
			t.Errorf("%s: %q %q", name, out, errs)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "back")); err == nil {
		content, _ := os.ReadFile(filepath.Join(dir, "back"))
		if len(content) > 0 {
			t.Errorf("a file came: %q", content)
		}
	}
	if out, errs, status := finish(t, b.client(t, "scp", file, "GATEWAY:"+file+".there"), ""); status != 0 {
		t.Errorf("what shows nothing: %q %q", out, errs)
	}
	masks(policy.Mask{Policy: "p", Name: "fields", Fields: []string{"public.t.email"}, Method: policy.Method{Type: policy.Redact}})
	if _, errs, status := finish(t, b.ssh(t, "GATEWAY", "uptime"), ""); status != statusRefused || !strings.Contains(errs, "p/fields") {
		t.Errorf("masks of fields: status %d, told %q", status, errs)
	}
}

// TestVeilPauses: what is held back is shown once nothing more comes, and a slow reader is no pause.
func TestVeilPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shown, seen := &lockedBuffer{}, 0
		var slow time.Duration
		v := &veil{pause: pauseTerminal, show: func(text []byte) error {
			<-time.After(slow)
			_, err := shown.Write(text)
			return err
		}}
		v.scanner = mask.Compile([]policy.Mask{redactEmail}, mask.Key{}).Detect().Scanner()
		v.timer = time.AfterFunc(time.Hour, v.rest)
		want := func(text string) {
			t.Helper()
			synctest.Wait()
			all := shown.String()
			if all[seen:] != text {
				t.Errorf("shown %q, want %q", all[seen:], text)
			}
			seen = len(all)
		}
		say := func(text string) {
			t.Helper()
			if err := v.write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		say("password")
		<-time.After(pauseTerminal / 2)
		want("")
		<-time.After(pauseTerminal)
		want("password")
		slow = 3 * pauseTerminal
		say("a line\nali")
		say("ce@example.com\n")
		want("a line\n[masked]\n")
		say("bob@example.co")
		if found, rules := v.end(); found != 2 || rules != 1 {
			t.Errorf("found %d, of rules %b", found, rules)
		}
		want("[masked]")
	})
}
