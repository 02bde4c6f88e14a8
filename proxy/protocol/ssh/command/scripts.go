// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

// script reads a text that another shell runs, made of words with blanks between.
func (r *reader) script(at place, name string, shell Shell, words []Word) {
	text, ok := joined(words)
	if !ok {
		r.unknown(ReasonExpansion, name, "%s runs a text that is not in the line whole: write it out, and give values as arguments", name)
		return
	}
	at.depth++
	at.outside = false
	r.include(r.work.read(text, shell, at))
}

// joined is what words come to with blanks between; false where that is not certain.
func joined(words []Word) (string, bool) {
	texts := make([]string, len(words))
	for i, w := range words {
		if w.Form != Literal {
			return "", false
		}
		texts[i] = w.Text
	}
	return strings.Join(texts, " "), true
}

// anyShell reads a text that a shell runs which is not known: only such as all shells read alike.
func (r *reader) anyShell(at place, name string, words []Word) {
	text, ok := joined(words)
	if ok && !plain(text) {
		r.unknown(ReasonShell, name, "%s gives the text %s to a shell that is not known: write it without characters that are special to any shell", name, quote(text))
		return
	}
	r.script(at, name, Sh, words)
}

// eval reads its words as more of the line.
func eval(r *reader, at spot, c *Command) {
	c.Indirect = true
	r.again(at.within(c.Name), c.Name, c.Args)
}

// trap reads a text that runs later in this shell.
func trap(r *reader, at spot, c *Command) {
	c.Indirect = true
	args := c.Args
	if len(args) > 0 && args[0].Form == Literal && args[0].Text == "--" {
		args = args[1:]
	}
	if len(args) < 2 || args[0].Form == Literal && args[0].Text == "-" {
		return // shows or resets
	}
	if args[0].Form == Literal && strings.HasPrefix(args[0].Text, "-") {
		r.unknown(ReasonProgram, c.Name, "trap %s is an option that is not read", args[0].Text)
		return
	}
	r.again(at.within(c.Name), c.Name, args[:1])
}

// again reads a text that runs in this shell, in the dialect that is read now. What it declares
// would last, so functions in it, and calls of functions, are unknown.
func (r *reader) again(at place, name string, words []Word) {
	text, ok := joined(words)
	if !ok {
		r.unknown(ReasonExpansion, name, "%s runs a text that is not in the line whole: write the command out", name)
		return
	}
	if len(r.functions) > 0 {
		r.unknown(ReasonDefinition, name, "%s and functions in one line are not read: leave one out", name)
		return
	}
	if u := checkText(text); u != nil {
		r.unknown(u.Reason, name, "%s", u.Detail)
		return
	}
	if r.work.bytes += len(text); r.work.bytes > maxWork {
		r.unknown(ReasonLimit, name, "texts within texts come to more than %d bytes: run a script of the target", maxWork)
		return
	}
	inner := &reader{work: r.work, dialect: r.dialect, source: text}
	at.depth++
	inner.read(at)
	if len(inner.functions) > 0 {
		r.unknown(ReasonDefinition, name, "%s declares a function: declare it in the line itself", name)
	}
	r.include(inner.line)
}

// shell reads a program that is a shell: with -c a text, with an operand a script.
func shell(r *reader, at spot, c *Command) {
	s, read := shellOf(c.Name)
	if !read {
		if len(c.Args) != 1 || c.Args[0].Text != "--version" {
			r.unknown(ReasonShell, c.Name, "lines of %s are not read: use sh or bash", c.Name)
		}
		return
	}
	args := c.Args
	text := false
	for len(args) > 0 && args[0].Form == Literal && len(args[0].Text) > 1 && args[0].Text[0] == '-' {
		word := args[0].Text
		args = args[1:]
		switch word {
		case "--version", "--help":
			return
		case "--norc", "--noprofile", "--login", "--posix":
			if s != Bash || word == "--posix" {
				r.unknown(ReasonProgram, c.Name, "%s is an option that is not read", quote(word))
				return
			}
			continue
		}
		if word == "--" {
			break
		}
		if strings.Trim(word[1:], "ceulx") != "" {
			r.unknown(ReasonProgram, c.Name, "%s is an option of %s that is not read: use -c, -e, -u, -x and -l", quote(word), c.Name)
			return
		}
		text = text || strings.Contains(word, "c")
	}
	switch {
	case len(args) == 0:
		r.unknown(ReasonInput, c.Name, "%s runs what it reads: give it a command with -c", c.Name)
	case args[0].Form == Literal && (strings.HasPrefix(args[0].Text, "-") || strings.HasPrefix(args[0].Text, "+")):
		r.unknown(ReasonProgram, c.Name, "%s is an option of %s that is not read", quote(args[0].Text), c.Name)
	case text:
		c.Indirect = standard(c)
		r.script(at.within(c.Name), c.Name, s, args[:1])
	default:
		r.file(at, c, args)
	}
}

// file reads a script of the target that an interpreter runs: it is a command of its own, and
// the interpreter needs an Allow too, since it may make something else of the file.
func (r *reader) file(at spot, c *Command, words []Word) {
	w := words[0]
	if !operand(w) || w.Form != Literal && !w.home || !strings.Contains(w.Text, "/") {
		r.unknown(ReasonInput, c.Name, "what %s runs is not in the text: name the script with its directory", c.Name)
		return
	}
	name, dir, ok := r.name(w)
	if !ok {
		return
	}
	if strings.HasPrefix(dir, "/dev/") || strings.HasPrefix(dir, "/proc/") {
		r.unknown(ReasonInput, c.Name, "%s runs what it reads from %s: give it a script", c.Name, dir)
		return
	}
	r.add(at.outsideOf(c), Command{Name: name, Path: dir, Args: words[1:]})
}

// interpreters are programs that run code which is not read.
var interpreters = set("python pypy jython perl ruby irb erb node nodejs deno bun php lua luajit Rscript julia guile racket java jrunscript groovy " +
	"scala elixir octave osascript tclsh expect clisp ocaml crystal raku hhvm qjs d8 js")

// here are interpreters that look for a script without a directory in the current one, and nowhere else.
var here = set("python perl ruby php")

// versions are what asks some of them for theirs; others read code then.
var versions = map[string]bool{"php -v": true, "perl -v": true, "node -v": true, "nodejs -v": true, "java -version": true}

// interpreter reads an interpreter: of a script that is named first, nothing else.
func interpreter(r *reader, at spot, c *Command) {
	if len(c.Args) == 1 && c.Args[0].Form == Literal {
		switch c.Args[0].Text {
		case "--version", "--help", "-V":
			return
		}
		if versions[c.Name+" "+c.Args[0].Text] {
			return
		}
	}
	if len(c.Args) > 0 && operand(c.Args[0]) && c.Args[0].Text != "" {
		words := c.Args
		if here[strings.TrimRight(c.Name, "0123456789.")] && words[0].Form == Literal && !strings.Contains(words[0].Text, "/") {
			words = append([]Word{{Text: "./" + words[0].Text}}, words[1:]...)
		}
		r.file(at, c, words)
		return
	}
	r.unknown(ReasonInput, c.Name, "%s runs code that is not read: put it into a script of the target, and name that first", c.Name)
}

func crontab(r *reader, _ spot, c *Command) {
	if len(c.Args) != 1 || c.Args[0].Form != Literal || c.Args[0].Text != "-l" {
		r.unknown(ReasonInput, c.Name, "crontab installs commands from what it reads, or starts an editor: only -l is read")
	}
}
