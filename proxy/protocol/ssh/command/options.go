// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

// grammar is how a program reads its options before its first operand, which ends them.
// What is not in it is unknown.
type grammar struct {
	flags  string // letters without a value
	valued string // letters with one
	tails  string // letters with a value only where it is attached
	// words are long options: "name", "name=" with a value, "name?" with one after "=" only.
	words  map[string]bool
	number bool // -10 is an option
	// ends are options that others stand behind no more.
	ends map[string]bool
}

// option is one that was given. Letter options are named by their letter.
type option struct {
	name  string
	value Word
}

// split parses options. Operands are what is left; ok is false where something is not
// in the grammar, which is then noted.
func (r *reader) split(c *Command, args []Word, g grammar) (given []option, rest []Word, ok bool) {
	for len(args) > 0 {
		w := args[0]
		if operand(w) || w.Form == Literal && (w.Text == "-" || w.Text == "") {
			return given, args, true
		}
		if w.Form != Literal && (w.Form != Partial || !attached(w.Text, g)) {
			r.unknown(ReasonExpansion, c.Name, "%s has an argument that is not in the text which may be an option: write it out, or behind --", c.Name)
			return nil, nil, false
		}
		if w.Text == "--" {
			return given, args[1:], true
		}
		args = args[1:]
		var some []option
		if some, args, ok = g.one(w, args); !ok {
			r.unknown(ReasonProgram, c.Name, "%s %s is an option that is not read: leave it out", c.Name, quote(w.Text))
			return nil, nil, false
		}
		given = append(given, some...)
		if len(some) > 0 && g.ends[some[len(some)-1].name] {
			return given, args, true
		}
	}
	return given, nil, true
}

// attached says that the part of an option that is certain ends in a value. Of -u"$X" it does not:
// where X is empty, the next word is the value.
func attached(text string, g grammar) bool {
	name, _, found := strings.Cut(strings.TrimPrefix(text, "--"), "=")
	if strings.HasPrefix(text, "--") {
		return found && (g.words[name+"="] || g.words[name+"?"])
	}
	return len(text) > 2 && strings.IndexByte(g.valued, text[1]) >= 0
}

// one reads the options in a word, with the value that may follow it.
func (g grammar) one(w Word, args []Word) (given []option, rest []Word, ok bool) {
	follow := func(name string) bool {
		if len(args) == 0 || args[0].Form > Partial {
			return false
		}
		given = append(given, option{name, args[0]})
		args = args[1:]
		return true
	}
	if name, found := strings.CutPrefix(w.Text, "--"); found {
		name, value, has := strings.Cut(name, "=")
		switch {
		case has && (g.words[name+"="] || g.words[name+"?"]):
			return []option{{name, Word{Text: value, Form: w.Form}}}, args, true
		case !has && (g.words[name] || g.words[name+"?"]):
			return []option{{name: name}}, args, true
		case !has && g.words[name+"="]:
			ok = follow(name)
			return given, args, ok
		}
		return nil, nil, false
	}
	letters := w.Text[1:]
	if g.number && digits(letters) {
		return []option{{"number", Word{Text: letters}}}, args, true
	}
	for i := range len(letters) {
		name, value := letters[i:i+1], Word{Text: letters[i+1:], Form: w.Form}
		switch {
		case strings.Contains(g.flags, name):
			given = append(given, option{name: name})
		case strings.Contains(g.valued, name):
			if value.Text == "" && w.Form == Literal {
				ok = follow(name)
				return given, args, ok
			}
			return append(given, option{name, value}), args, true
		case strings.Contains(g.tails, name):
			return append(given, option{name, value}), args, true
		default:
			return nil, nil, false
		}
	}
	return given, args, true
}

// has says that one of the named options was given, and with what.
func has(given []option, names ...string) (Word, bool) {
	for i := len(given) - 1; i >= 0; i-- {
		for _, name := range names {
			if given[i].name == name {
				return given[i].value, true
			}
		}
	}
	return Word{}, false
}
