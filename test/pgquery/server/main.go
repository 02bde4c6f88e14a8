// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command server answers with PostgreSQL's own parser (libpg_query, version 17).
//
// It reads texts from its standard input, each with its length in bytes before
// it (32 bits, big endian), and answers each, in the same form, with a JSON
// document: see answer.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	pgquery "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// answer is what the parser makes of a text: an error, or statements.
type answer struct {
	Error      string      `json:"error,omitempty"`
	Statements []statement `json:"statements,omitempty"`
}

// statement is one statement of a text. Node is the name of its node's type;
// Start and End are in bytes, from its first token to the end of its last one.
type statement struct {
	Node  string `json:"node"`
	Start int    `json:"start"`
	End   int    `json:"end"`
	// Relations, Functions and Columns are the names in it, dotted, Strings its
	// constants; each once and in order.
	Relations []string `json:"relations,omitempty"`
	Functions []string `json:"functions,omitempty"`
	Columns   []string `json:"columns,omitempty"`
	Strings   []string `json:"strings,omitempty"`
}

// maxText bounds a text: what is longer is no text but a broken pipe.
const maxText = 64 << 20

func main() {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<16), bufio.NewWriterSize(os.Stdout, 1<<16)
	for {
		err := one(in, out)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// one answers one text. What was asked in one go is answered in one go.
func one(in *bufio.Reader, out *bufio.Writer) error {
	var size [4]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxText {
		return fmt.Errorf("text is too long: %d bytes, at most %d are read", n, maxText)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return fmt.Errorf("cannot read a text: %w", err)
	}
	reply, err := json.Marshal(parse(string(text)))
	if err != nil {
		return fmt.Errorf("cannot write an answer: %w", err)
	}
	binary.BigEndian.PutUint32(size[:], uint32(len(reply)))
	if _, err := out.Write(size[:]); err != nil {
		return err
	}
	if _, err := out.Write(reply); err != nil {
		return err
	}
	if in.Buffered() > 0 {
		return nil
	}
	return out.Flush()
}

func parse(text string) answer {
	// The server refuses both before it parses; the library reads up to the zero.
	if !utf8.ValidString(text) {
		return answer{Error: "invalid byte sequence for encoding UTF8"}
	}
	if strings.IndexByte(text, 0) >= 0 {
		return answer{Error: "text holds a zero byte"}
	}
	tree, err := pgquery.Parse(text)
	if err != nil {
		return answer{Error: err.Error()}
	}
	scanned, err := pgquery.Scan(text)
	if err != nil {
		return answer{Error: err.Error()}
	}
	var out answer
	for _, raw := range tree.GetStmts() {
		s := statement{Node: kind(raw.GetStmt())}
		s.Start, s.End = bounds(raw, scanned.GetTokens(), len(text))
		s.walk(raw.GetStmt().ProtoReflect())
		for _, list := range []*[]string{&s.Relations, &s.Functions, &s.Columns, &s.Strings} {
			slices.Sort(*list)
			*list = slices.Compact(*list)
		}
		out.Statements = append(out.Statements, s)
	}
	return out
}

// bounds is where the tokens of a statement begin and end, without the comments
// and semicolons that the parser counts as its own. Its length is 0 where it ends
// with the text.
func bounds(raw *pgquery.RawStmt, tokens []*pgquery.ScanToken, size int) (start, end int) {
	from, to := int(raw.GetStmtLocation()), int(raw.GetStmtLocation()+raw.GetStmtLen())
	if raw.GetStmtLen() == 0 {
		to = size
	}
	start = -1
	for _, t := range tokens {
		switch t.GetToken() { //nolint:exhaustive // the others are of the statement
		case pgquery.Token_SQL_COMMENT, pgquery.Token_C_COMMENT, pgquery.Token_ASCII_59:
			continue
		}
		if int(t.GetStart()) < from || int(t.GetEnd()) > to {
			continue
		}
		if start < 0 {
			start = int(t.GetStart())
		}
		end = int(t.GetEnd())
	}
	return start, end
}

// kind is the name of the node's type.
func kind(node *pgquery.Node) string {
	m := node.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("node"))
	if field == nil {
		return ""
	}
	return string(m.Get(field).Message().Descriptor().Name())
}

// walk collects the names of a tree.
func (s *statement) walk(m protoreflect.Message) {
	switch node := m.Interface().(type) {
	case *pgquery.RangeVar:
		name := []string{node.GetCatalogname(), node.GetSchemaname(), node.GetRelname()}
		s.Relations = append(s.Relations, strings.Join(slices.DeleteFunc(name, func(part string) bool { return part == "" }), "."))
	case *pgquery.FuncCall:
		s.Functions = append(s.Functions, dotted(node.GetFuncname()))
	case *pgquery.ColumnRef:
		s.Columns = append(s.Columns, dotted(node.GetFields()))
	case *pgquery.A_Const:
		if value := node.GetSval(); value != nil {
			s.Strings = append(s.Strings, value.GetSval())
		}
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Kind() != protoreflect.MessageKind || field.IsMap():
		case field.IsList():
			for i := range value.List().Len() {
				s.walk(value.List().Get(i).Message())
			}
		default:
			s.walk(value.Message())
		}
		return true
	})
}

func dotted(names []*pgquery.Node) string {
	parts := make([]string, 0, len(names))
	for _, name := range names {
		if name.GetAStar() != nil {
			parts = append(parts, "*")
			continue
		}
		parts = append(parts, name.GetString_().GetSval())
	}
	return strings.Join(parts, ".")
}
