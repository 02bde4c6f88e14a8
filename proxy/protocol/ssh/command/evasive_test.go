// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"slices"
	"testing"

	"github.com/doorward/doorward/proxy/protocol/ssh/command"
	"github.com/doorward/doorward/proxy/protocol/ssh/command/commandtest"
)

// permits is the policy "only uptime, ls, cat, grep, ps, df, sort and systemctl status; no file is written".
func permits(l command.Line) bool {
	if len(l.Unknown) > 0 {
		return false
	}
	for _, f := range l.Files {
		if f.Write && f.Path != "/dev/null" {
			return false
		}
	}
	for i := range l.Commands {
		c := &l.Commands[i]
		if c.Indirect {
			continue
		}
		switch c.Resource() {
		case "uptime", "ls", "cat", "grep", "ps", "df", "sort", "/bin/ls", "/usr/bin/uptime", "/bin/cat":
		case "systemctl":
			if c.Verb != "status" {
				return false
			}
		default:
			return false
		}
		if c.As != "" || c.Host != "" {
			return false
		}
	}
	return true
}

var everyShell = []command.Shell{command.Sh, command.Bash, command.Dash, command.Ash, command.Mksh}

// TestEvasions is checklist 8: what is not allowed is refused, however it is written, whatever the shell.
func TestEvasions(t *testing.T) {
	list := commandtest.Evasions()
	if len(list) < 160 {
		t.Errorf("there are %d evasions, of at least 160", len(list))
	}
	seen := map[string]bool{}
	for _, e := range list {
		if seen[e.Line] {
			t.Errorf("%q is there twice", e.Line)
		}
		seen[e.Line] = true
		for _, shell := range everyShell {
			if slices.Contains(e.Harmless, shell) {
				continue
			}
			if l := command.Read(e.Line, command.Options{Shell: shell}); permits(l) {
				t.Errorf("%s lets %q through: %s\n%+v", shell, e.Line, e.Reason, l)
			}
		}
	}
	t.Logf("%d evasive lines", len(list))
}

// byName are the evasions that a rule may allow by the names in them: they do nothing else.
var byName = []string{
	"uptime |& tee x", "systemctl stop nginx", "systemctl status nginx; systemctl restart nginx", "systemctl --no-pager restart nginx", "systemctl -t service stop status",
	"/tmp/uptime", "./uptime", "~/uptime", "UPTIME", "^uptime^rm", "/tmp/sh -c uptime", "sh ./x", "ssh localhost uptime", "env -C /tmp ./uptime", "nice echo x",
	"/tmp/env uptime", "sudo uptime", "chroot /tmp/x uptime", "ls | xargs", "find . -name x", "python3 x.py", "journalctl -u nginx", "f() { uptime; }; env f",
	"f() { uptime; }; command f", "f() { uptime; }; sh -c f", "=rm x", "noglob rm x",
	"env2 uptime", "apt-get install ./x.deb", "dpkg -i x.deb", "dpkg -Ei x.deb", "systemctl link /tmp/x.service", "systemctl enable --now /tmp/x.service",
}

// TestEvasionsOfAllowedPrograms is the same under "every command but rm and kill; no file is written": programs
// that are allowed cannot be made to run what is not.
func TestEvasionsOfAllowedPrograms(t *testing.T) {
	for _, e := range commandtest.Evasions() {
		for _, shell := range everyShell {
			if slices.Contains(byName, e.Line) || slices.Contains(e.Harmless, shell) {
				continue
			}
			l := command.Read(e.Line, command.Options{Shell: shell})
			refused := len(l.Unknown) > 0
			for i := range l.Commands {
				refused = refused || l.Commands[i].Name == "rm" || l.Commands[i].Name == "kill"
			}
			for _, f := range l.Files {
				refused = refused || f.Write
			}
			if !refused {
				t.Errorf("%s lets %q through: %s\n%+v", shell, e.Line, e.Reason, l)
			}
		}
	}
}

// TestEvasionsOfTerminals are those that need a terminal.
func TestEvasionsOfTerminals(t *testing.T) {
	for _, e := range []struct{ line, reason string }{
		{"systemctl status nginx", "systemctl pages, and the pager's ! runs commands"},
		{"systemctl", "lists units in a pager"},
		{"systemctl status nginx --no-page", "an abbreviation that another version may read otherwise"},
		{"journalctl -u nginx", "a pager"},
		{"git log", "a pager"},
		{"sh -c 'systemctl status nginx'", "a pager, in a shell"},
		{"timeout 5 systemctl status nginx", "a pager, in a program"},
	} {
		l := command.Read(e.line, command.Options{Shell: command.Bash, Terminal: true})
		if len(l.Unknown) == 0 {
			t.Errorf("%q is let through on a terminal: %s", e.line, e.reason)
		}
	}
	for _, line := range []string{"systemctl status nginx --no-pager", "systemctl --no-pager status nginx", "uptime", "git --no-pager log"} {
		if l := command.Read(line, command.Options{Shell: command.Bash, Terminal: true}); len(l.Unknown) > 0 {
			t.Errorf("%q is unknown on a terminal: %v", line, l.Unknown)
		}
	}
}

// TestOtherShells is that nothing is let through for accounts whose shell is not read.
func TestOtherShells(t *testing.T) {
	for _, shell := range []command.Shell{"", "fish", "zsh", "csh", "tcsh", "ksh", "/bin/sh", "Bash"} {
		l := command.Read("uptime", command.Options{Shell: shell})
		if len(l.Unknown) != 1 || l.Unknown[0].Reason != command.ReasonShell || len(l.Commands) > 0 {
			t.Errorf("shell %q: %+v", shell, l)
		}
	}
}
