// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

// builtin reads a command that is part of the shell. What it does stays within the shell
// where it is marked indirect.
type builtin func(r *reader, at spot, c *Command)

// builtins are the parts of shells. It is filled in by init, since some of them read commands in turn.
var builtins map[string]builtin

// changing are those that take names or code, and are not read.
var changing = set("getopts let unalias enable shopt bind complete compgen compopt mapfile readarray fc nameref integer autoload functions r login " +
	"coproc select function [[ history global print setopt stop suspend vared whence emulate rehash")

func init() {
	builtins = map[string]builtin{
		":": inert, "true": inert, "false": inert, "echo": inert, "pwd": inert, "times": inert, "type": inert, "cd": inert,
		"umask": plainly, "exit": numbersOnly, "return": numbersOnly, "break": numbersOnly, "continue": numbersOnly,
		"shift": numbersOnly, "wait": numbersOnly, "ulimit": plainly, "jobs": jobs, "hash": hash,
		"test": test, "[": test, "printf": printf, "read": read, "unset": unset, "set": setting, "kill": direct,
		"export": export, "readonly": declaring, "local": declaring, "declare": declaring, "typeset": declaring,
		"command": commands, "builtin": builtinOf, "exec": exec, "eval": eval, "trap": trap, ".": source, "source": source, "alias": alias,
	}
	for name := range changing {
		builtins[name] = opaqueBuiltin
	}
}

// known says that a name is of a builtin or of a program that is looked into.
func known(name string) bool {
	return builtins[name] != nil || toolOf(name) != nil || keywords[name]
}

func inert(_ *reader, _ spot, c *Command) { c.Indirect = true }

func direct(*reader, spot, *Command) {}

func opaqueBuiltin(r *reader, _ spot, c *Command) {
	r.unknown(ReasonDefinition, c.Name, "%s changes what the rest of the line means, or runs code by names: leave it out", c.Name)
}

// plainly takes no argument that is not in the text.
func plainly(r *reader, _ spot, c *Command) {
	c.Indirect = true
	for _, w := range c.Args {
		if w.Form != Literal || strings.Trim(w.Text, unquotedText) != "" {
			r.unknown(ReasonExpansion, c.Name, "%s has an argument that is not in the text, or that some shells calculate: write it out", c.Name)
		}
	}
}

// numbersOnly takes numbers: Korn shells calculate them, and wait has an option that names a variable.
func numbersOnly(r *reader, _ spot, c *Command) {
	c.Indirect = true
	for _, w := range c.Args {
		if !w.number && (w.Form != Literal || !digits(w.Text)) {
			r.unknown(ReasonExpansion, c.Name, "%s has an argument that is no number: some shells calculate it", c.Name)
		}
	}
}

func jobs(r *reader, at spot, c *Command) {
	plainly(r, at, c)
	for _, w := range c.Args {
		if w.Text != "-l" && w.Text != "-p" {
			r.unknown(ReasonProgram, c.Name, "jobs may run a command: use it with -l or -p")
		}
	}
}

// hash can give a name another program.
func hash(r *reader, _ spot, c *Command) {
	c.Indirect = true
	if len(c.Args) != 1 || c.Args[0].Text != "-r" {
		r.unknown(ReasonDefinition, c.Name, "hash can give names other programs: use hash -r")
	}
}

func printf(r *reader, _ spot, c *Command) {
	c.Indirect = true
	if len(c.Args) > 0 && !operand(c.Args[0]) && c.Args[0].Text != "--" {
		r.unknown(ReasonExpansion, c.Name, "printf may set a variable, and run code in its subscript: give it a format in quotes")
	}
}

// operand says that each word that w stands for is certainly no option.
func operand(w Word) bool {
	if w.home {
		return true
	}
	if w.Text == "" {
		return w.Form == Literal
	}
	return w.Form != Open && w.Text[0] != '-'
}

func read(r *reader, _ spot, c *Command) {
	c.Indirect = true
	args := c.Args
	for len(args) > 0 && args[0].Form == Literal && args[0].Text == "-r" {
		args = args[1:]
	}
	for _, w := range args {
		if w.Form != Literal || !identifier(w.Text) {
			r.unknown(ReasonExpansion, c.Name, "read takes -r and names of variables: others may run code in subscripts")
			continue
		}
		r.variable(w.Text, Word{Form: Partial})
	}
}

func unset(r *reader, _ spot, c *Command) {
	c.Indirect = true
	for i, w := range c.Args {
		switch {
		case i == 0 && w.Form == Literal && w.Text == "-v":
		case w.Form != Literal || !identifier(w.Text):
			r.unknown(ReasonDefinition, c.Name, "unset takes -v and names of variables")
		case r.functions[w.Text]:
			r.unknown(ReasonDefinition, c.Name, "unset may remove the function %s", w.Text)
		default:
			r.variable(w.Text, Word{})
		}
	}
}

// modes are the options of set that change nothing of what a line means.
var modes = set("-e +e -u +u -x +x -f +f -C +C -eu -ex -eux -ux -euf -euo -exo -euxo -uo -eo -o +o " +
	"pipefail errexit nounset xtrace noglob noclobber")

func setting(r *reader, _ spot, c *Command) {
	c.Indirect = true
	for i, w := range c.Args {
		if w.Form == Literal && w.Text == "--" {
			return // what follows are  and so on, which are never certain
		}
		_, named := modes[w.Text]
		if w.Form != Literal || !named || w.Text[0] != '-' && w.Text[0] != '+' && (i == 0 || !strings.HasSuffix(c.Args[i-1].Text, "o")) {
			r.unknown(ReasonDefinition, c.Name, "set changes how the line is read: use -e, -u, -x, -f, -C and -o pipefail")
			return
		}
	}
}

// export puts variables into the environment of what follows.
func export(r *reader, _ spot, c *Command) {
	c.Indirect = true
	for _, w := range c.Args {
		if w.Form == Literal && (w.Text == "-p" && len(c.Args) == 1) {
			return
		}
		name, value, assigns := strings.Cut(w.Text, "=")
		if !identifier(name) || w.Form > Partial || w.Form == Partial && !assigns {
			r.unknown(ReasonEnvironment, c.Name, "export takes NAME=value, in the text")
			continue
		}
		form := w.Form
		if !assigns {
			form = Partial // whatever it holds
		}
		r.exported(name, Word{Text: value, Form: form})
	}
}

// declaring reads readonly, local, declare and typeset without options.
func declaring(r *reader, _ spot, c *Command) {
	c.Indirect = true
	for _, w := range c.Args {
		name, value, assigns := strings.Cut(w.Text, "=")
		if !identifier(name) || w.Form > Partial || w.Form == Partial && !assigns {
			r.unknown(ReasonDefinition, c.Name, "%s takes NAME=value, in the text: options change what variables mean", c.Name)
			continue
		}
		if !assigns {
			w.Form = Partial // whatever it holds
		}
		r.variable(name, Word{Text: value, Form: w.Form})
	}
}

func alias(r *reader, _ spot, c *Command) {
	c.Indirect = true
	for _, w := range c.Args {
		if w.Form != Literal || strings.ContainsAny(w.Text, "=-") {
			r.unknown(ReasonDefinition, c.Name, "alias gives names another meaning: write the command out")
			return
		}
	}
}

func source(r *reader, _ spot, c *Command) {
	r.unknown(ReasonInput, c.Name, "%s runs a file of the target in this shell, where it can change the meaning of the rest: run it as a command", c.Name)
}

// commands reads the builtin command: functions are passed by.
func commands(r *reader, at spot, c *Command) {
	c.Indirect = true
	args := c.Args
	for len(args) > 0 && args[0].Form == Literal {
		switch args[0].Text {
		case "-v", "-V":
			return // says what a name is
		case "-p", "--":
			args = args[1:]
			continue
		}
		break
	}
	r.passing(at.within(c.Name), args)
}

// builtinOf reads bash's builtin: nothing but a builtin runs.
func builtinOf(r *reader, at spot, c *Command) {
	c.Indirect = true
	if len(c.Args) > 0 && (c.Args[0].Form != Literal || builtins[c.Args[0].Text] == nil) {
		r.unknown(ReasonName, c.Name, "builtin runs one that is not read")
		return
	}
	r.passing(at.within(c.Name), c.Args)
}

// passing runs a builtin or a program, and no function.
func (r *reader) passing(at place, words []Word) {
	if len(words) == 0 {
		return
	}
	if words[0].Form == Literal && strings.HasPrefix(words[0].Text, "-") {
		r.unknown(ReasonProgram, "command", "%s is an option that is not read", quote(words[0].Text))
		return
	}
	if words[0].Form == Literal && builtins[words[0].Text] == nil {
		at.outside = true
	}
	r.run(at, words, nil)
}

// exec reads the builtin exec: a program takes the shell's place.
func exec(r *reader, at spot, c *Command) {
	c.Indirect = true
	if len(c.Args) == 0 {
		return
	}
	args := c.Args
	if args[0].Form == Literal && args[0].Text == "--" {
		args = args[1:]
	}
	inner := at.within(c.Name)
	inner.outside = true
	if len(args) > 0 && args[0].Form == Literal && strings.HasPrefix(args[0].Text, "-") {
		r.unknown(ReasonProgram, c.Name, "exec %s is an option that is not read", args[0].Text)
		return
	}
	r.run(inner, args, nil)
}
