// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/protocol/ssh/command"
	"github.com/doorward/doorward/proxy/protocol/ssh/command/commandtest"
)

// does is what a reading comes to, in the words of the tables.
func does(l command.Line) string {
	var out []string
	for i := range l.Commands {
		c := &l.Commands[i]
		if c.Indirect {
			continue
		}
		s := c.Resource()
		if c.As != "" {
			s = c.As + "@" + s
		}
		if c.Verb != "" {
			s += ":" + c.Verb
		}
		if c.Host != "" {
			s += "@" + c.Host
		}
		out = append(out, s)
	}
	for _, f := range l.Files {
		mark := "<"
		if f.Append {
			mark = ">>"
		} else if f.Write {
			mark = ">"
		}
		out = append(out, mark+f.Path)
	}
	return strings.Join(out, " ")
}

// TestHonest is that lines of daily work are read, and as what they are.
func TestHonest(t *testing.T) {
	list := commandtest.Honest()
	if len(list) < 110 {
		t.Errorf("there are %d honest lines, of at least 110", len(list))
	}
	for _, h := range list {
		shells := h.In
		if len(shells) == 0 {
			shells = everyShell
		}
		for _, shell := range shells {
			l := command.Read(h.Line, command.Options{Shell: shell, Environment: commandtest.Environment})
			if len(l.Unknown) > 0 {
				t.Errorf("%s refuses %q (%s): %v", shell, h.Line, h.Reason, l.Unknown)
			} else if got := does(l); got != h.Does {
				t.Errorf("%s reads %q (%s) as %q, want %q", shell, h.Line, h.Reason, got, h.Does)
			}
		}
	}
	t.Logf("%d honest lines", len(list))
}
