// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

func (g guard) check(r *reader, at spot, c *Command) {
	for i, w := range c.Args {
		if !operand(w) && w.Form != Literal {
			r.unknown(ReasonExpansion, c.Name, "%s has an argument that may be an option under which it runs commands: write it out, with ./ before a pattern", c.Name)
			continue
		}
		if g.harms(w.Text, i == 0) || g.colon && !local(w) {
			r.unknown(ReasonProgram, c.Name, "%s runs commands with %s: leave it out", c.Name, quote(w.Text))
		}
	}
	if g.pages {
		r.paged(at, c)
	}
}

// local says that a word is certainly no "host:file", as far as it is not in the text.
func local(w Word) bool {
	return w.Form == Literal || w.home || strings.HasPrefix(w.Text, "/") || strings.HasPrefix(w.Text, "./")
}

func (g guard) harms(text string, first bool) bool {
	switch {
	case strings.HasPrefix(text, "--"):
		name, _, _ := strings.Cut(text[2:], "=")
		return name != "" && begins(g.long, name)
	case strings.HasPrefix(text, "-") || first && g.bare:
		if strings.ContainsAny(text, g.letters) {
			return true
		}
		for _, h := range g.long {
			if strings.HasPrefix(text, "-"+h) {
				return true
			}
		}
		return g.colon && strings.Contains(text, ":")
	}
	return text != "" && begins(g.words, text) || g.colon && strings.Contains(text, ":")
}

// begins says that one of the words begins with a text.
func begins(words []string, text string) bool {
	for _, w := range words {
		if strings.HasPrefix(w, text) {
			return true
		}
	}
	return false
}

// verbs reads a program whose operations its first word names; all others of them may run commands.
func verbs(names string) tool {
	allowed := set(names)
	return func(r *reader, _ spot, c *Command) {
		if len(c.Args) == 0 || c.Args[0].Form != Literal {
			r.unknown(ReasonProgram, c.Name, "what %s does is not in the text: name its operation first", c.Name)
			return
		}
		c.Verb = c.Args[0].Text
		if !allowed[c.Verb] && c.Verb != "--version" && c.Verb != "--help" {
			r.unknown(ReasonProgram, c.Name, "%s %s may run commands: name its operation first, one of: %s", c.Name, quote(c.Verb), names)
		}
		for _, w := range c.Args[1:] {
			name, _, _ := strings.Cut(w.Text, "=")
			if w.Form != Literal && !operand(w) || strings.HasPrefix(name, "--kube") || strings.HasPrefix(name, "--config") || strings.HasPrefix(name, "--pre") {
				r.unknown(ReasonProgram, c.Name, "%s takes its configuration from %s: leave it out", c.Name, quote(w.Text))
			}
		}
	}
}

// operations of systemctl that are named alike in every version; edit, which starts an editor, is
// not among them.
var unitVerbs = set("status show cat is-active is-enabled is-failed list-units list-unit-files list-timers list-sockets list-jobs list-dependencies list-machines " +
	"start stop restart reload try-restart reload-or-restart enable disable reenable mask unmask kill daemon-reload daemon-reexec reset-failed " +
	"isolate reboot poweroff halt suspend hibernate get-default set-default set-property preset help is-system-running rescue emergency default freeze thaw clean revert link add-wants add-requires kexec exit import-environment set-environment unset-environment show-environment cancel")

// systemctl resolves the operation, which policies match.
func systemctl(r *reader, at spot, c *Command) {
	g := grammar{
		flags: "lqarf", valued: "tpnos", words: set("all full quiet no-pager no-legend plain failed system user no-block no-ask-password now force runtime recursive reverse value state= type= property= lines= output= signal= kill-who= kill-whom= what= with-dependencies"),
	}
	var operands []Word
	for args := c.Args; len(args) > 0; {
		_, rest, ok := r.split(c, args, g)
		if !ok {
			return
		}
		if len(rest) == 0 {
			break
		}
		operands, args = append(operands, rest[0]), rest[1:]
	}
	if len(operands) > 0 {
		if operands[0].Form != Literal || !unitVerbs[operands[0].Text] {
			r.unknown(ReasonProgram, c.Name, "systemctl %s is an operation that is not read: it may start an editor", quote(operands[0].Text))
			return
		}
		c.Verb = operands[0].Text
	}
	if c.Verb == "help" {
		r.unknown(ReasonProgram, c.Name, "systemctl help shows manuals in a pager: use status")
	}
	r.paged(at, c)
}

func crontab(r *reader, _ spot, c *Command) {
	if len(c.Args) != 1 || c.Args[0].Form != Literal || c.Args[0].Text != "-l" {
		r.unknown(ReasonInput, c.Name, "crontab installs commands from what it reads, or starts an editor: only -l is read")
	}
}

// never is for programs of which no use is read but to ask for the version.
func never(r *reader, _ spot, c *Command) {
	if len(c.Args) == 1 && c.Args[0].Form == Literal && (c.Args[0].Text == "--version" || c.Args[0].Text == "--help") {
		return
	}
	r.unknown(ReasonProgram, c.Name, "%s can run other commands, by its files, options or keys: give the caller a command of the target that does just this", c.Name)
}
