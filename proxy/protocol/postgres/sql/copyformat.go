// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strings"

	"github.com/multigres/multigres/go/common/parser"
	"github.com/multigres/multigres/go/common/parser/ast"
)

// CopyFormat is what copy data looks like on the wire, with the server's
// defaults filled in (PostgreSQL manual, COPY).
type CopyFormat struct {
	// Binary and CSV tell the formats; neither is the text format.
	Binary, CSV bool
	// Header says that the first line holds the names of the columns.
	Header bool
	// Delimiter, Null, Quote and Escape are those of the text and CSV formats;
	// Quote and Escape are empty in the text format.
	Delimiter, Null, Quote, Escape string
	// ForceQuote names the columns whose values CSV always quotes; ForceQuoteAll
	// is all of them.
	ForceQuote    []string
	ForceQuoteAll bool
	// Encoding is the encoding of the data where it is not the client's own.
	Encoding string
	// Unknown says that the options are not all understood, so that the data
	// cannot be read soundly.
	Unknown bool
}

// copyFormat reads the options of COPY.
func copyFormat(options *ast.NodeList) *CopyFormat {
	f := &CopyFormat{}
	var delimiter, null, quote, escape *string
	for _, n := range listOf(options) {
		d, ok := n.(*ast.DefElem)
		if !ok {
			f.Unknown = true
			continue
		}
		text, isText := optionText(d.Arg)
		switch d.Defname {
		case "format":
			f.Binary, f.CSV = text == "binary", text == "csv"
			f.Unknown = f.Unknown || !f.Binary && !f.CSV && text != "text"
		case "header":
			f.header(d.Arg)
		case "delimiter":
			delimiter = &text
		case "null":
			null = &text
		case "quote":
			quote = &text
		case "escape":
			escape = &text
		case "encoding":
			f.Encoding = text
		case "force_quote":
			isText = true
			f.forceQuote(d.Arg)
		case "freeze", "force_not_null", "force_null", "on_error", "log_verbosity", "default", "reject_limit":
			isText = true // of COPY FROM
		default:
			f.Unknown = true
		}
		f.Unknown = f.Unknown || !isText && d.Defname != "header"
	}
	f.Delimiter, f.Null = "\t", `\N`
	if f.CSV {
		f.Delimiter, f.Null, f.Quote = ",", "", `"`
		if quote != nil {
			f.Quote = *quote
		}
		f.Escape = f.Quote
		if escape != nil {
			f.Escape = *escape
		}
	}
	if delimiter != nil {
		f.Delimiter = *delimiter
	}
	if null != nil {
		f.Null = *null
	}
	return f
}

// queryCopyFormat reads the options of COPY (query) TO from its text. In the
// parser's tree the first of them may be any node of the query, since opt_with
// in its grammar has no value of its own.
func queryCopyFormat(text string) *CopyFormat {
	unknown := &CopyFormat{Unknown: true}
	tokens, refused := scan(text)
	if refused != nil || len(tokens) < 2 || tokens[1].kind != '(' {
		return unknown
	}
	depth := 0
	for _, t := range tokens[1:] {
		switch t.kind {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth > 0 {
			continue
		}
		trees, err := parser.ParseSQL("COPY t" + text[t.pos+len(t.text):])
		if err != nil || len(trees) != 1 {
			return unknown
		}
		s, ok := trees[0].(*ast.CopyStmt)
		if !ok || s.Relation == nil || s.IsFrom {
			return unknown
		}
		return copyFormat(s.Options)
	}
	return unknown
}

// header reads the value of HEADER as the server does (defGetCopyHeaderChoice in
// commands/copy.c). A first line that is wrongly taken for names would be shown.
func (f *CopyFormat) header(n ast.Node) {
	known := n == nil
	f.Header = true
	switch v := n.(type) {
	case *ast.Boolean:
		f.Header, known = v.BoolVal, true
	case *ast.Integer:
		f.Header, known = v.IVal == 1, v.IVal == 0 || v.IVal == 1
	case *ast.String:
		switch foldASCII(v.SVal) {
		case "true", "on", "match": // MATCH is for COPY FROM
			known = true
		case "false", "off":
			f.Header, known = false, true
		}
	}
	f.Unknown = f.Unknown || !known
}

func (f *CopyFormat) forceQuote(n ast.Node) {
	switch v := n.(type) {
	case *ast.A_Star:
		f.ForceQuoteAll = true
	case *ast.NodeList:
		for _, i := range v.Items {
			if s, ok := i.(*ast.String); ok {
				f.ForceQuote = append(f.ForceQuote, s.SVal)
			} else {
				f.Unknown = true
			}
		}
	default:
		f.Unknown = true
	}
}

// optionText is the value of an option that is a word or a string.
func optionText(n ast.Node) (string, bool) {
	s, ok := n.(*ast.String)
	if !ok {
		return "", false
	}
	return strings.Clone(s.SVal), true
}
