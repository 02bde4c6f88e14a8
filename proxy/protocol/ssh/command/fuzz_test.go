// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/protocol/ssh/command"
	"github.com/doorward/doorward/proxy/protocol/ssh/command/commandtest"
)

// FuzzRead holds what must be so of every text: no panic, the same reading each time, bounds that are
// kept, and of each command a name.
func FuzzRead(f *testing.F) {
	for _, e := range commandtest.Evasions() {
		f.Add(e.Line, uint8(len(e.Line)))
	}
	for _, h := range commandtest.Honest() {
		f.Add(h.Line, uint8(len(h.Line)))
	}
	f.Fuzz(func(t *testing.T, text string, which uint8) {
		o := command.Options{Shell: everyShell[int(which)%len(everyShell)], Terminal: which&0x80 != 0}
		begin := time.Now()
		l := command.Read(text, o)
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("reading %d bytes took %s", len(text), took)
		}
		if again := command.Read(text, o); !reflect.DeepEqual(l, again) {
			t.Errorf("%q is read in two ways:\n%+v\n%+v", text, l, again)
		}
		if len(l.Commands) > command.MaxCommands && len(l.Unknown) == 0 {
			t.Errorf("%d commands are let through", len(l.Commands))
		}
		if len(text) > command.MaxBytes && len(l.Unknown) == 0 {
			t.Errorf("%d bytes are let through", len(text))
		}
		if l.Transfer != nil && (len(l.Unknown) > 0 || len(l.Commands) != 1) {
			t.Errorf("%q is a transfer, and more: %+v", text, l)
		}
		for i := range l.Commands {
			if c := &l.Commands[i]; c.Name == "" || c.Path != "" && !strings.HasSuffix(c.Path, "/"+c.Name) {
				t.Errorf("%q has a command without a name: %+v", text, c)
			}
		}
		for _, u := range l.Unknown {
			if u.Detail == "" || u.Reason == "" {
				t.Errorf("%q is unknown without a reason", text)
			}
		}
	})
}

// TestBounds is that what is too much is unknown, soon.
func TestBounds(t *testing.T) {
	for name, text := range map[string]string{
		"bytes":             strings.Repeat("a", command.MaxBytes+1),
		"commands":          strings.Repeat("ls;", command.MaxCommands+1),
		"words":             "ls" + strings.Repeat(" a", 13000),
		"subshells":         strings.Repeat("( ", 200) + "ls" + strings.Repeat(" )", 200),
		"groups":            strings.Repeat("{ ", 40) + "ls" + strings.Repeat("; }", 40),
		"substitutions":     "echo " + strings.Repeat("$(echo ", 40) + "x" + strings.Repeat(")", 40),
		"branches":          strings.Repeat("if ", 2000) + "ls" + strings.Repeat("; then ls; fi", 2000),
		"loops":             strings.Repeat("while ", 3000) + "ls",
		"negations":         strings.Repeat("! ", 10000) + "ls",
		"times":             strings.Repeat("time ", 6000) + "ls",
		"wrappers":          strings.Repeat("nohup ", 5000) + "ls",
		"evals":             strings.Repeat("eval ", 5000) + "ls",
		"defaults":          "echo " + strings.Repeat("${x:-", 3000) + "y" + strings.Repeat("}", 3000),
		"quotes":            strings.Repeat(`"$(echo `, 2000) + "x" + strings.Repeat(`)"`, 2000),
		"arithmetic":        "echo $((" + strings.Repeat("(", 8000) + "1" + strings.Repeat(")", 8000) + "))",
		"old arithmetic":    strings.Repeat("$[", 16000),
		"operators":         "echo $((" + strings.Repeat("-", 16000) + "1))",
		"conditions":        "[[ " + strings.Repeat("! ", 8000) + "x ]]",
		"documents":         "cat " + strings.Repeat("<<A ", 5000) + "\nA\n",
		"pipes":             strings.Repeat("ls|", 9000) + "ls",
		"texts":             nested(12),
		"find within find":  strings.Repeat("find -exec ", 2500) + "ls",
		"assignments":       strings.Repeat("a=1 ", 8000),
		"cases":             strings.Repeat("case x in x) ", 2000),
		"functions":         strings.Repeat("f() { ", 2000),
		"backquotes":        strings.Repeat("`ls ", 8000),
		"redirections":      "ls" + strings.Repeat(" <x", 8000),
		"process in bash":   "ls " + strings.Repeat("<(ls ", 5000),
		"one endless quote": "ls '" + strings.Repeat("x", 30000),
	} {
		for _, shell := range everyShell {
			begin := time.Now()
			l := command.Read(text, command.Options{Shell: shell})
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("%s: %s took %s", name, shell, took)
			}
			if len(l.Unknown) == 0 && name != "assignments" && name != "one endless quote" && name != "redirections" {
				t.Errorf("%s is let through by %s", name, shell)
			}
		}
	}
}

// nested is a text in texts, each quoted in the next.
func nested(depth int) string {
	text := "uptime"
	for range depth {
		text = "sh -c '" + strings.ReplaceAll(text, "'", `'\''`) + "'"
		if len(text) > command.MaxBytes {
			break
		}
	}
	return text
}

func BenchmarkRead(b *testing.B) {
	for _, bench := range []struct {
		name, line string
		shell      command.Shell
	}{
		{"plain", "uptime", command.Sh},
		{"usual/bash", "cd /srv/app && git pull --ff-only && sudo systemctl restart 'app'", command.Bash},
		{"usual/sh", "cd /srv/app && git pull --ff-only && sudo systemctl restart 'app'", command.Sh},
		{"ansible", "/bin/sh -c '( umask 77 && mkdir -p \"` echo ~/.ansible/tmp `\" && echo x ) && sleep 0'", command.Sh},
		{"pipeline", "ps aux | grep -v grep | awk '{print $2}' | xargs -r -n 1 cat 2>/dev/null", command.Dash},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if l := command.Read(bench.line, command.Options{Shell: bench.shell}); len(l.Unknown) > 0 {
					b.Fatal(l.Unknown)
				}
			}
		})
	}
}
