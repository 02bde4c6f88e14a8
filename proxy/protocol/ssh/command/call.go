// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// call reads a simple command as it stands in the text.
func (r *reader) call(at place, c *syntax.CallExpr) {
	words := make([]Word, len(c.Args))
	for i, w := range c.Args {
		words[i] = r.word(at, w)
		if w.Lit() == "[[" && !r.dialect.extended() {
			r.unknown(ReasonDialects, "", "[[ makes words of the && and || behind it in busybox, wherever it stands: use [")
		}
	}
	r.run(at, words, r.assignments(at, c.Assigns, len(words) == 0))
}

// declaration makes the words of export, local and their like what they are in shells where
// these are simple commands.
func (r *reader) declaration(at place, c *syntax.DeclClause) []Word {
	words := []Word{{Text: c.Variant.Value}}
	for _, a := range c.Args {
		switch {
		case a.Index != nil || a.Array != nil || a.Append:
			r.unknown(ReasonExpansion, c.Variant.Value, "%s is an assignment that is not read: arrays run code in subscripts", quote(r.of(a)))
			if a.Array != nil {
				r.elements(at, a.Array)
			}
		case a.Name == nil:
			words = append(words, r.word(at, a.Value))
		case a.Naked:
			words = append(words, Word{Text: a.Name.Value})
		default:
			w := r.value(at, a.Value)
			words = append(words, Word{Text: a.Name.Value + "=" + w.Text, Form: w.Form})
		}
	}
	return words
}

// run reads a command that is made of words: its first one is the name.
func (r *reader) run(at place, words []Word, environment []Assignment) {
	if len(words) == 0 {
		return
	}
	name, dir, ok := r.name(words[0])
	if !ok {
		return
	}
	if at.depth > MaxNesting {
		r.unknown(ReasonLimit, name, "commands run each other more than %d deep: write the line with less nesting", MaxNesting)
		return
	}
	cmd := Command{Name: name, Path: dir, Args: words[1:], Environment: environment}
	if dir == "" && !at.outside {
		switch {
		case r.functions[name]:
			if !r.declared[name] {
				r.unknown(ReasonDefinition, name, "the function %s may not be declared when it is called: declare it first, at the beginning of a line", quote(name))
			}
			return
		case builtins[name] != nil:
			at := r.add(at, cmd)
			builtins[name](r, at, at.command(r))
			return
		}
	}
	inner := r.add(at, cmd)
	if tool := toolOf(name); tool != nil {
		tool(r, inner, inner.command(r))
	}
}

// spot is a place together with the command that was just noted there.
type spot struct {
	place
	index int
}

// command is the noted command; nil where there were too many.
func (s spot) command(r *reader) *Command {
	if s.index < 0 {
		return &Command{}
	}
	return &r.line.Commands[s.index]
}

// add notes a command.
func (r *reader) add(at place, c Command) spot {
	r.work.commands++
	r.work.words += len(c.Args)
	if r.work.commands > MaxCommands*len(dialectsOf(Sh)) || r.work.words > maxWords*len(dialectsOf(Sh)) || len(r.line.Commands) >= MaxCommands {
		r.unknown(ReasonLimit, "", "the line has more than %d commands or %d words: put it into a script of the target", MaxCommands, maxWords)
		return spot{at, -1}
	}
	c.Via, c.As, c.Host = at.via, at.as, at.host
	r.line.Commands = append(r.line.Commands, c)
	return spot{at, len(r.line.Commands) - 1}
}

// name resolves the word in the place of a command to a name and, where it has one, its path.
func (r *reader) name(w Word) (name, dir string, ok bool) {
	if w.Form != Literal && !w.home {
		r.unknown(ReasonName, "", "the name of a command that begins with %s is not in the text: write it out", quote(w.Text))
		return "", "", false
	}
	text := w.Text
	switch {
	case strings.Trim(text, "/.~") == "" && text != ".":
		r.unknown(ReasonName, "", "%s is no name of a command", quote(text))
		return "", "", false
	case strings.ContainsAny(text, "\n\t"), strings.HasPrefix(text, "!") && text != "!":
		r.unknown(ReasonName, "", "%s is no name of a command that is read: history is not expanded", quote(text))
		return "", "", false
	case text[0] == '-' || text[0] == '+':
		r.unknown(ReasonName, "", "%s is an option of what stands before it, or no name of a command", quote(text))
		return "", "", false
	case !strings.Contains(text, "/"):
		return text, "", true
	case !w.home && strings.HasPrefix(text, "~"), strings.HasSuffix(text, "/"):
		r.unknown(ReasonName, "", "%s is no path of a command that is read: write it from / on", quote(text))
		return "", "", false
	}
	for e := range strings.SplitSeq(text, "/") {
		if e == ".." {
			r.unknown(ReasonName, "", "what %s is depends on links at the target: write it without ..", quote(text))
			return "", "", false
		}
	}
	dir = located(text)
	if strings.HasPrefix(dir, "/proc/") || strings.HasPrefix(dir, "/dev/") {
		r.unknown(ReasonName, "", "what %s is depends on the process that asks: name the program", quote(text))
		return "", "", false
	}
	return dir[strings.LastIndexByte(dir, '/')+1:], dir, true
}

// standard says that a command is a program that is looked into, and [fromSystem].
func standard(c *Command) bool {
	return tools[c.Name] != nil && fromSystem(c) // not such as env2
}

// fromSystem says that a command is written with no directory, or with one that only administrators
// write to.
func fromSystem(c *Command) bool {
	if c.Path == "" {
		return true
	}
	switch strings.TrimSuffix(c.Path, "/"+c.Name) {
	case "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin":
		return true
	}
	return false
}
