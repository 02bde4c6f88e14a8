// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// redirect reads one redirection.
func (r *reader) redirect(at place, d *syntax.Redirect) {
	if d.N != nil && (len(d.N.Value) != 1 || !digits(d.N.Value)) {
		r.unknown(ReasonDialects, "", "%s is a redirection of some shells only: use one digit", quote(r.of(d)))
	}
	file := File{}
	switch d.Op {
	case syntax.Hdoc, syntax.DashHdoc:
		r.document(at, d)
		return
	case syntax.WordHdoc:
		if !r.dialect.extended() {
			r.unknown(ReasonSyntax, "", "<<< is of some shells only: use a here-document")
		}
		r.word(at, d.Word)
		return
	case syntax.DplIn, syntax.DplOut:
		if lit := d.Word.Lit(); lit != "-" && (len(lit) != 1 || !digits(lit)) {
			r.unknown(ReasonDialects, "", "%s is a file in some shells: redirect 1 and 2 one by one", quote(r.of(d)))
		}
		return
	case syntax.RdrOut, syntax.RdrClob:
		file.Write = true
	case syntax.AppOut:
		file.Write, file.Append = true, true
	case syntax.RdrIn:
		file.Read = true
	case syntax.RdrInOut:
		file.Read, file.Write, file.Append = true, true, true
	case syntax.RdrAll, syntax.AppAll:
		if !r.dialect.extended() {
			r.unknown(ReasonDialects, "", "%s is of bash only: write > file 2>&1", quote(r.of(d)))
		}
		file.Write, file.Append = true, d.Op == syntax.AppAll
	default:
		r.unknown(ReasonSyntax, "", "%s is a redirection that is not read", quote(r.of(d)))
		return
	}
	w := r.word(at, d.Word)
	r.open(w, file, r.of(d))
}

// open notes a file that is opened.
func (r *reader) open(w Word, file File, text string) {
	switch {
	case w.Text == "/dev/fd/" && w.Form == Partial:
		return // a process substitution, whose commands are listed
	case w.Form != Literal && !w.home || w.Text == "":
		r.unknown(ReasonFile, "", "%s opens a file whose name is not in the text: write it out", quote(text))
		return
	case strings.HasPrefix(w.Text, "~") && !w.home:
		file.Path = "./" + w.Text
	default:
		file.Path = located(w.Text)
	}
	if clean := path.Clean(file.Path); strings.HasPrefix(clean, "/dev/tcp/") || strings.HasPrefix(clean, "/dev/udp/") {
		r.unknown(ReasonFile, "", "%s opens a network connection in bash", quote(text))
		return
	}
	r.line.Files = append(r.line.Files, file)
}

// located is a path without empty and "." elements, beginning with "/", "./" or "~/".
// Elements ".." stay: what they are is up to links at the target.
func located(name string) string {
	var elements []string
	for e := range strings.SplitSeq(name, "/") {
		if e != "" && e != "." {
			elements = append(elements, e)
		}
	}
	joined := strings.Join(elements, "/")
	switch {
	case strings.HasPrefix(name, "/"):
		return "/" + joined
	case strings.HasPrefix(name, "~"):
		return joined
	}
	return "./" + joined
}

// document reads a here-document, of which shells agree only in the plain cases.
func (r *reader) document(at place, d *syntax.Redirect) {
	r.documents++
	if r.documents > 1 {
		r.unknown(ReasonSyntax, "", "more than one here-document is not read: send one")
		return
	}
	quoted := false
	mark := d.Word.Lit()
	if len(d.Word.Parts) == 1 {
		switch p := d.Word.Parts[0].(type) {
		case *syntax.SglQuoted:
			if !p.Dollar {
				quoted, mark = true, p.Value
			}
		case *syntax.DblQuoted:
			if len(p.Parts) == 1 && !p.Dollar {
				if lit, ok := p.Parts[0].(*syntax.Lit); ok {
					quoted, mark = true, lit.Value
				}
			}
		}
	}
	if !identifier(mark) {
		r.unknown(ReasonDialects, "", "the end of a here-document is %s: use one word of letters", quote(r.of(d.Word)))
		return
	}
	if d.Hdoc == nil || quoted {
		return
	}
	for _, part := range d.Hdoc.Parts {
		if lit, ok := part.(*syntax.Lit); ok {
			if strings.Contains(lit.Value, "\\\n") {
				r.unknown(ReasonDialects, "", "a line of a here-document is continued, which shells read differently: quote its end, as in <<'%s'", mark)
			}
			continue
		}
		if c, ok := part.(*syntax.CmdSubst); ok && c.Backquotes {
			r.unknown(ReasonDialects, "", "%s stands in a here-document: write $( )", quote(r.of(c)))
		}
		b := builder{}
		r.expansion(at, &b, part, true, false)
	}
}
