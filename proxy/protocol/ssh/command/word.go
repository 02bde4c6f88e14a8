// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// builder puts a word together from its parts, as far as it is certain.
type builder struct {
	text strings.Builder
	form Form
	// sure says that everything so far was in text.
	sure   bool
	number bool
	home   bool
}

// put adds text that is certain.
func (b *builder) put(s string) {
	if b.sure {
		b.text.WriteString(s)
	}
}

// lose says that from here on the word is not certain, and how.
func (b *builder) lose(form Form) {
	b.sure = false
	b.form = max(b.form, form)
}

// word reads a word that is an argument: quotes are removed, and what is expanded is walked
// for the commands in it.
func (r *reader) word(at place, w *syntax.Word) Word { return r.expand(at, w, false) }

// value reads a word that is neither split nor matched with files: of an assignment.
func (r *reader) value(at place, w *syntax.Word) Word {
	if w == nil {
		return Word{}
	}
	return r.expand(at, w, true)
}

func (r *reader) expand(at place, w *syntax.Word, whole bool) Word {
	b := builder{sure: true}
	for i, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			r.unquoted(&b, p.Value, i == 0, i == len(w.Parts)-1, r.of(w))
		case *syntax.SglQuoted:
			r.single(&b, p)
		case *syntax.DblQuoted:
			if p.Dollar {
				r.unknown(ReasonExpansion, "", "%s is translated by files that a variable names: remove the dollar", quote(r.of(p)))
			}
			for _, q := range p.Parts {
				if lit, ok := q.(*syntax.Lit); ok {
					b.put(unescape(lit.Value))
					continue
				}
				r.expansion(at, &b, q, true, len(w.Parts) == 1 && len(p.Parts) == 1)
			}
		default:
			r.expansion(at, &b, part, false, len(w.Parts) == 1)
		}
	}
	if whole && b.form > Partial {
		b.form = Partial
	}
	if b.form == Open {
		return Word{Form: Open}
	}
	read := Word{Text: b.text.String(), Form: b.form, number: b.number, home: b.home && b.sure}
	if b.home && read.Text != "~" && !strings.HasPrefix(read.Text, "~/") { // "$HOME"x
		read.Text, read.home = "", false
	}
	return read
}

// unquoted reads literal text outside of quotes.
func (r *reader) unquoted(b *builder, s string, first, last bool, word string) {
	if first && strings.HasPrefix(s, "~") {
		rest := s[1:]
		if rest != "" && rest[0] != '/' || rest == "" && !last {
			b.lose(Partial) // the home of somebody else, or something that a shell remembers
		} else {
			b.put("~")
			b.home, b.form, s = true, Partial, rest
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			i++
			if i < len(s) && s[i] != '\n' {
				b.put(s[i : i+1])
			}
		case '*', '?', '[':
			if c == '[' && s == "[" && first && last {
				b.put("[") // the command
				continue
			}
			b.lose(Expanded)
		case '~':
			if i > 0 && (s[i-1] == '=' || s[i-1] == ':') {
				b.lose(Partial)
			}
			b.put("~")
		case '{':
			if strings.HasPrefix(s[i:], "{}") {
				b.put("{")
				continue
			}
			if strings.Contains(word, ",") || strings.Contains(word, "..") {
				b.lose(Expanded)
			}
			b.put("{")
		default:
			b.put(s[i : i+1])
		}
	}
}

// single reads '...' and $'...'.
func (r *reader) single(b *builder, q *syntax.SglQuoted) {
	if !q.Dollar {
		b.put(q.Value)
		return
	}
	s, ok := decode(q.Value)
	if !ok {
		r.unknown(ReasonExpansion, "", "%s has an escape that shells decode differently: use \\n, \\t, \\', \\\\ or two hexadecimal digits of ASCII", quote(r.of(q)))
		b.lose(Partial)
	}
	b.put(s)
}

// unescape removes the backslashes that double quotes honour.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			switch s[i+1] {
			case '\n':
				i++
				continue
			case '$', '"', '\\', '`':
				i++
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// decode decodes the escapes of $'...' that bash and mksh have in common.
func decode(s string) (string, bool) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", false
		}
		c, used := escaped(s[i:])
		if used == 0 {
			return "", false
		}
		out.WriteByte(c)
		i += used - 1
	}
	return out.String(), true
}

// escaped decodes what follows a backslash, and says how long that is: 0 for what is not read.
func escaped(s string) (byte, int) {
	switch s[0] {
	case 'n':
		return '\n', 1
	case 't':
		return '\t', 1
	case '\\', '\'', '"':
		return s[0], 1
	case 'x':
		if len(s) < 3 || hex(s[1]) < 0 || hex(s[2]) < 0 || len(s) > 3 && hex(s[3]) >= 0 {
			return 0, 0
		}
		c := byte(hex(s[1])<<4 | hex(s[2])) //nolint:gosec // two digits are a byte
		if c == 0 || c >= 0x80 {
			return 0, 0
		}
		return c, 3
	case '0', '1':
		if len(s) < 3 || s[1] < '0' || s[1] > '7' || s[2] < '0' || s[2] > '7' || len(s) > 3 && s[3] >= '0' && s[3] <= '9' {
			return 0, 0
		}
		c := (s[0]-'0')<<6 | (s[1]-'0')<<3 | (s[2] - '0')
		if c == 0 {
			return 0, 0
		}
		return c, 3
	}
	return 0, 0
}

func hex(c byte) int { return strings.IndexByte("0123456789abcdef", c|0x20) }
