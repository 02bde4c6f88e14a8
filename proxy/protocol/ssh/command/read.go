// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// The bounds of what is read; more is unknown.
const (
	// MaxBytes is the length of a line.
	MaxBytes = 32 << 10
	// MaxNesting is how deep commands, substitutions and texts within texts may nest.
	MaxNesting = 24
	// MaxCommands is how many simple commands a line may have.
	MaxCommands = 256
	// maxWords bounds the words of all commands, maxWork the bytes that are parsed, texts within texts counted again.
	maxWords = 4096
	maxWork  = 8 * MaxBytes
)

// Read says what a line does. It never fails: what it cannot read is unknown. It is pure,
// and safe for concurrent use.
func Read(text string, o Options) Line {
	if strings.TrimSpace(text) == "" {
		return unread(ReasonInput, "the line is empty, which some servers take for a shell: name a command")
	}
	w := &work{environment: o.Environment}
	line := w.read(text, o.Shell, place{terminal: o.Terminal})
	if len(line.Unknown) == 0 {
		line.Transfer = transfer(&line)
	}
	return line
}

// work is what all texts of one line share: the bounds.
type work struct {
	environment []string
	bytes       int
	commands    int
	words       int
}

// read reads one text in all dialects that the shell may have, which must agree.
func (w *work) read(text string, shell Shell, at place) Line {
	dialects := dialectsOf(shell)
	if dialects == nil {
		return unread(ReasonShell, "the account's shell %q is not read: give the account sh, bash, dash, ash or mksh", string(shell))
	}
	if u := checkText(text); u != nil {
		return Line{Unknown: []Unknown{*u}}
	}
	if at.depth > MaxNesting {
		return unread(ReasonLimit, "texts are nested in texts more than %d deep: write the command out", MaxNesting)
	}
	if w.bytes += len(text); w.bytes > maxWork {
		return unread(ReasonLimit, "texts within texts come to more than %d bytes: run a script of the target", maxWork)
	}
	var first Line
	for i, d := range dialects {
		r := &reader{work: w, dialect: d, source: text}
		r.read(at)
		if i == 0 {
			first = r.line
			if len(dialects) == 1 || plain(text) {
				return first
			}
			continue
		}
		if !agree(&first, &r.line) {
			first.Unknown = append(first.Unknown, Unknown{Reason: ReasonDialects, Detail: fmt.Sprintf(
				"%s and %s do not read this alike: write it with what POSIX has, or name the shell in the connection's options", dialects[0].name, d.name)})
			return first
		}
	}
	return first
}

// plain says that a text has nothing that any shell could read in another way: words of
// characters that are special to none, the first of which are no keywords of theirs.
func plain(text string) bool {
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte(" /._,:-", c) >= 0:
		default:
			return false
		}
	}
	first, _, _ := strings.Cut(strings.TrimLeft(text, " "), " ")
	return !keywords[first]
}

func unread(reason Reason, format string, args ...any) Line {
	return Line{Unknown: []Unknown{{Reason: reason, Detail: fmt.Sprintf(format, args...)}}}
}

// agree says that two readings are the same. Where both are unknown the first is enough.
func agree(a, b *Line) bool {
	if len(a.Unknown) > 0 && len(b.Unknown) > 0 {
		return true
	}
	return len(a.Unknown) == len(b.Unknown) && slices.Equal(a.Files, b.Files) &&
		slices.EqualFunc(a.Commands, b.Commands, func(x, y Command) bool {
			return x.Name == y.Name && x.Path == y.Path && x.Verb == y.Verb && x.As == y.As && x.Host == y.Host &&
				x.Indirect == y.Indirect && slices.Equal(x.Args, y.Args) &&
				slices.Equal(x.Environment, y.Environment) && slices.Equal(x.Via, y.Via)
		})
}

// place is where in a line, and how, a command stands.
type place struct {
	via      []string
	as, host string
	// outside says that a program runs it, not the shell: there are no builtins and functions.
	outside bool
	// terminal says that it has a terminal.
	terminal bool
	// settled says that it always runs, in the shell itself, where it stands.
	settled bool
	// substituted says that it is within a substitution.
	substituted bool
	depth       int
}

// within is the place of what name runs.
func (p place) within(name string) place {
	p.via = append(slices.Clip(p.via), name)
	p.depth++
	p.settled = false
	return p
}

// reader reads one text in one dialect.
type reader struct {
	*work
	dialect dialect
	source  string
	line    Line

	functions map[string]bool // declared anywhere in the text
	declared  map[string]bool // those that are settled by now
	numbers   numbers
	certain   certain
	documents int // here-documents
	// standing is how deep the statement that is read is nested.
	standing int
}

func (r *reader) read(at place) {
	defer func() {
		// What callers write must not end the proxy, should the parser have a fault.
		if fault := recover(); fault != nil {
			r.unknown(ReasonSyntax, "", "%s is a line at which the reader fails (%v): write it otherwise, and report this", quote(r.source), fault)
		}
	}()
	parser := syntax.NewParser(syntax.Variant(r.dialect.variant), syntax.KeepComments(true))
	file, err := parser.Parse(strings.NewReader(r.source), "")
	if err != nil {
		r.unknown(ReasonSyntax, "", "%s cannot be made out as %s: %s", quote(r.source), r.dialect.name, syntaxError(err))
		return
	}
	if !r.survey(file) {
		return
	}
	at.settled = true
	r.statements(at, file.Stmts)
}

// unknown notes why the line does more than it says. Details are not repeated.
func (r *reader) unknown(reason Reason, command, format string, args ...any) {
	u := Unknown{Reason: reason, Command: command, Detail: fmt.Sprintf(format, args...)}
	if len(r.line.Unknown) < 16 && !slices.Contains(r.line.Unknown, u) {
		r.line.Unknown = append(r.line.Unknown, u)
	}
}

// include takes over what another text, which the line runs, does.
func (r *reader) include(l Line) {
	r.line.Commands = append(r.line.Commands, l.Commands...)
	r.line.Files = append(r.line.Files, l.Files...)
	for _, u := range l.Unknown {
		r.unknown(u.Reason, u.Command, "%s", u.Detail)
	}
}

// syntaxError is the parser's word for it, without the position, which is of one dialect.
func syntaxError(err error) string {
	if _, what, found := strings.Cut(err.Error(), ": "); found {
		return what
	}
	return err.Error()
}

// quote bounds what a detail shows of the line.
func quote(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}
