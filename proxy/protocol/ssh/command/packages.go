// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

// dpkg runs what packages have in them: one that is installed from a file is a command of its own.
func dpkg(r *reader, at spot, c *Command) {
	args, installs := c.Args, false
	guard{long: []string{"pre-invoke", "post-invoke", "root", "instdir", "admindir", "recursive"}, letters: "R", pages: true}.check(r, at, c)
	for _, w := range args {
		name, long := strings.CutPrefix(w.Text, "--")
		installs = installs || long && (name == "install" || name == "unpack") || !long && strings.HasPrefix(w.Text, "-") && strings.Contains(w.Text, "i")
	}
	for _, w := range args {
		if installs && !strings.HasPrefix(w.Text, "-") {
			if w.Form == Literal && !strings.Contains(w.Text, "/") {
				w.Text = "./" + w.Text
			}
			r.file(at, c, []Word{w})
		}
	}
}

// rpm is read where it asks for packages.
func rpm(r *reader, _ spot, c *Command) {
	for i, w := range c.Args {
		name, _, _ := strings.Cut(w.Text, "=")
		asks := strings.HasPrefix(w.Text, "-q") && strings.Trim(w.Text, "-qailfpRcdsv") == ""
		switch {
		case w.Form == Literal && (asks || i > 0 && queries[name]):
		case i == 0 || !operand(w):
			r.unknown(ReasonProgram, c.Name, "rpm %s may run what packages or macros say: only rpm -q is read", quote(w.Text))
			return
		}
	}
}

var queries = set("--queryformat --qf --last --changelog --scripts --requires --provides --whatprovides --list --info")
