// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

var (
	niceness = grammar{valued: "n", words: set("adjustment="), number: true}
	// Busybox runs what stands behind the process of -p; elsewhere it is another process.
	idleness = grammar{flags: "t", valued: "cnpPu", words: set("class= classdata= pid= pgid= uid= ignore")}
)

// outsideOf is the place of what a program runs.
func (s spot) outsideOf(c *Command) place {
	at := s.within(c.Name)
	at.outside = true
	return at
}

// runs reads the command that a program runs, if there is one. The program itself then needs no
// Allow where it is one of the system's own.
func (r *reader) runs(at spot, c *Command, words []Word) {
	if len(words) == 0 {
		return
	}
	c.Indirect = standard(c)
	r.run(at.outsideOf(c), words, nil)
}

// wrapper reads a program that has options and then a command.
func wrapper(g grammar) tool {
	return func(r *reader, at spot, c *Command) {
		if _, rest, ok := r.split(c, c.Args, g); ok {
			r.runs(at, c, rest)
		}
	}
}

func timeout(r *reader, at spot, c *Command) {
	_, rest, ok := r.split(c, c.Args, grammar{flags: "fpv", valued: "ks", words: set("foreground preserve-status verbose kill-after= signal=")})
	if !ok || len(rest) == 0 {
		return
	}
	if w := rest[0]; !w.number && (w.Form > Partial || !digits(strings.TrimPrefix(w.Text+"x", ".")[:1])) {
		r.unknown(ReasonName, c.Name, "timeout has no duration in the text, and some run what stands in its place: write it out")
		return
	}
	r.runs(at, c, rest[1:])
}

// env reads options, then assignments, then a command.
func env(r *reader, at spot, c *Command) {
	args := c.Args
	var rest []Word
	for {
		given, left, ok := r.split(c, args, grammar{flags: "i0v", valued: "uCS", words: set("ignore-environment null debug unset= chdir= split-string="), ends: set("S split-string")})
		if !ok {
			return
		}
		rest = left
		text, splits := has(given, "S", "split-string")
		if !splits {
			break
		}
		if text.Form != Literal || !plain(text.Text) && strings.Trim(text.Text, unquotedText) != "" {
			r.unknown(ReasonExpansion, c.Name, "env splits %s by rules of its own: write the words out", quote(text.Text))
			return
		}
		args = nil // the words stand where -S stood, and what follows behind them
		for word := range strings.FieldsSeq(text.Text) {
			args = append(args, Word{Text: word})
		}
		args = append(args, rest...)
	}
	if len(rest) > 0 && rest[0].Form == Literal && rest[0].Text == "-" {
		rest = rest[1:]
	}
	rest, given, ok := r.assigned(c, rest)
	if !ok {
		return
	}
	c.Environment = append(c.Environment, given...)
	r.runs(at, c, rest)
}

// unquotedText are characters that no program that splits text gives a meaning.
const unquotedText = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _./,:=@%+-"

// assigned takes the NAME=value words in front of a command.
func (r *reader) assigned(c *Command, words []Word) (rest []Word, given []Assignment, ok bool) {
	for len(words) > 0 {
		w := words[0]
		name, value, assigns := strings.Cut(w.Text, "=")
		if !assigns {
			break
		}
		if w.Form > Partial || !identifier(name) {
			r.unknown(ReasonEnvironment, c.Name, "%s puts %s into the environment: leave it out", c.Name, quote(w.Text))
			return nil, nil, false
		}
		r.exported(name, Word{Text: value, Form: w.Form})
		given = append(given, Assignment{Name: name, Value: Word{Text: value, Form: w.Form}})
		words = words[1:]
	}
	return words, given, true
}

// watch runs its words, put together with blanks, by sh -c, or without a shell.
func watch(r *reader, at spot, c *Command) {
	given, rest, ok := r.split(c, c.Args, grammar{flags: "bcegptwx", valued: "nq", tails: "d", words: set("beep color errexit chgexit no-title precise exec no-wrap differences? interval= equexit=")})
	if !ok || len(rest) == 0 {
		return
	}
	c.Indirect = standard(c)
	if _, direct := has(given, "x", "exec"); direct {
		r.run(at.outsideOf(c), rest, nil)
		return
	}
	r.script(at.within(c.Name), c.Name, Sh, rest)
}

// flock runs a command, or a text by a shell, while it holds a file.
func flock(r *reader, at spot, c *Command) {
	_, rest, ok := r.split(c, c.Args, grammar{flags: "sxenuoFv", valued: "wE", words: set("shared exclusive nonblock nb unlock close no-fork verbose timeout= wait= conflict-exit-code=")})
	if !ok || len(rest) == 0 || len(rest) == 1 && rest[0].Form == Literal && digits(rest[0].Text) {
		return
	}
	if rest[0].Form > Partial {
		r.unknown(ReasonFile, c.Name, "flock has no file in the text: write it out")
		return
	}
	r.open(rest[0], File{Read: true, Write: true, Append: true}, "flock "+rest[0].Text)
	rest = rest[1:]
	if len(rest) > 0 && rest[0].Form == Literal && (rest[0].Text == "-c" || rest[0].Text == "--command") {
		c.Indirect = standard(c)
		r.anyShell(at.within(c.Name), c.Name, rest[1:])
		return
	}
	if len(rest) > 0 && !operand(rest[0]) {
		r.unknown(ReasonProgram, c.Name, "flock has an option behind its file: write it before")
		return
	}
	r.runs(at, c, rest)
}

// script runs a text by the account's shell, on a terminal, and writes what it shows to a file.
func script(r *reader, at spot, c *Command) {
	given, rest, ok := r.split(c, c.Args, grammar{flags: "aefq", valued: "cE", words: set("append return flush quiet force command= echo=")})
	if !ok {
		return
	}
	text, runs := has(given, "c", "command")
	if !runs || len(rest) > 1 {
		r.unknown(ReasonInput, c.Name, "script starts a shell that reads commands: give it one command with -c")
		return
	}
	file := Word{Text: "typescript"}
	if len(rest) == 1 {
		file = rest[0]
	}
	r.open(file, File{Write: true}, "script "+file.Text)
	c.Indirect = standard(c)
	inner := at.within(c.Name)
	inner.terminal = true
	r.anyShell(inner, c.Name, []Word{text})
}

// multicall reads busybox: the applet's name is the first word.
func multicall(r *reader, at spot, c *Command) {
	if len(c.Args) == 0 {
		return
	}
	w := c.Args[0]
	if w.Form == Literal && (w.Text == "--list" || w.Text == "--help") {
		return
	}
	if w.Form != Literal || !operand(w) || strings.Contains(w.Text, "/") {
		r.unknown(ReasonName, c.Name, "the applet of %s is not in the text: name it first", c.Name)
		return
	}
	r.runs(at, c, c.Args)
}
