// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"slices"
	"strings"
)

// sudo reads options, then assignments, then a command that runs as another account. It needs an
// Allow of its own.
func sudo(r *reader, at spot, c *Command) {
	given, rest, ok := r.split(c, c.Args, grammar{
		flags: "nHkKbSPBEvVlis", valued: "ugpCTUrt",
		words: set("user= group= prompt= close-from= command-timeout= other-user= role= type= non-interactive set-home stdin background preserve-groups preserve-env? reset-timestamp remove-timestamp validate version list bell login shell"),
	})
	if !ok {
		return
	}
	rest, assigned, ok := r.assigned(c, rest)
	if !ok {
		return
	}
	c.Environment = append(c.Environment, assigned...)
	r.become(at, c, given, rest, "u", "user")
}

// become runs a command under the account that an option names.
func (r *reader) become(at spot, c *Command, given []option, words []Word, names ...string) {
	inner := at.outsideOf(c)
	inner.as = "root"
	_, shell := has(given, "i", "s", "login", "shell")
	if user, named := has(given, names...); named {
		if user.Form != Literal {
			r.unknown(ReasonExpansion, c.Name, "the account that %s runs as is not in the text: write it out", c.Name)
			return
		}
		inner.as = user.Text
	}
	switch {
	case !shell:
		r.run(inner, words, nil)
	case len(words) == 0:
		r.unknown(ReasonInput, c.Name, "%s starts a shell that reads commands: name a command", c.Name)
	default:
		r.anyShell(inner, c.Name, words)
	}
}

func doas(r *reader, at spot, c *Command) {
	if given, rest, ok := r.split(c, c.Args, grammar{flags: "nL", valued: "u"}); ok {
		r.become(at, c, given, rest, "u")
	}
}

// su runs a text by the login shell of another account, which the text does not tell.
func su(r *reader, at spot, c *Command) {
	g := grammar{flags: "lmpP", valued: "csgG", words: set("login preserve-environment pty command= shell= group= supp-group=")}
	var given []option
	var operands []Word
	for args := c.Args; len(args) > 0; {
		some, rest, ok := r.split(c, args, g)
		if !ok {
			return
		}
		given = append(given, some...)
		if len(rest) == 0 {
			break
		}
		if rest[0].Text != "-" {
			operands = append(operands, rest[0])
		}
		args = rest[1:]
	}
	if repeated(given) {
		r.unknown(ReasonProgram, c.Name, "su has an option twice, of which versions take another: write it once")
		return
	}
	text, runs := has(given, "c", "command")
	if !runs || len(operands) > 1 || len(operands) == 1 && operands[0].Form != Literal {
		r.unknown(ReasonInput, c.Name, "su starts a shell that reads commands, or gives it arguments: write su -c 'command' account")
		return
	}
	inner := at.within(c.Name)
	inner.as = "root"
	if len(operands) == 1 {
		inner.as = operands[0].Text
	}
	if _, pty := has(given, "P", "pty"); pty {
		inner.terminal = true
	}
	if shell, named := has(given, "s", "shell"); named {
		name := shell.Text[strings.LastIndexByte(shell.Text, '/')+1:]
		s, read := shellOf(name)
		if shell.Form != Literal || !read || !standard(&Command{Name: name, Path: shell.Text}) {
			r.unknown(ReasonShell, c.Name, "the shell %s is not read: use /bin/sh", quote(shell.Text))
			return
		}
		r.script(inner, c.Name, s, []Word{text})
		return
	}
	r.anyShell(inner, c.Name, []Word{text})
}

// repeated says that an option of su was given twice; its long options differ in their first letters, too.
func repeated(given []option) bool {
	for i, o := range given {
		if slices.ContainsFunc(given[:i], func(p option) bool { return p.name[0] == o.name[0] }) {
			return true
		}
	}
	return false
}

// chroot runs a command below another root. It needs an Allow of its own: what a name is there,
// the directory tells.
func chroot(r *reader, at spot, c *Command) {
	_, rest, ok := r.split(c, c.Args, grammar{words: set("userspec= groups= skip-chdir")})
	if !ok {
		return
	}
	if len(rest) < 2 || rest[0].Form > Partial {
		r.unknown(ReasonInput, c.Name, "chroot starts a shell that reads commands: name a directory and a command")
		return
	}
	r.run(at.outsideOf(c), rest[1:], nil)
}

func unshare(r *reader, at spot, c *Command) {
	r.enter(at, c, grammar{flags: "minpuUCTrcf", words: set("mount? uts? ipc? net? pid? user? cgroup? time? fork map-root-user map-current-user mount-proc? kill-child?")})
}

func nsenter(r *reader, at spot, c *Command) {
	r.enter(at, c, grammar{flags: "muinpCUTaF", valued: "t", words: set("target= mount uts ipc net pid cgroup user time all no-fork")})
}

// enter runs a command in other namespaces. It needs an Allow of its own.
func (r *reader) enter(at spot, c *Command, g grammar) {
	_, rest, ok := r.split(c, c.Args, g)
	if !ok {
		return
	}
	if len(rest) == 0 {
		r.unknown(ReasonInput, c.Name, "%s starts a shell that reads commands: name a command", c.Name)
		return
	}
	r.run(at.outsideOf(c), rest, nil)
}
