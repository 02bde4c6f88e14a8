// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

var _ protocol.StatementReader = postgres{}

// ReadStatements implements protocol.StatementReader. There is no catalog: relations must
// be written with their schema and are taken for tables that are there, and of functions
// only well-known ones are taken for the server's own.
func (postgres) ReadStatements(text string) ([]protocol.Reading, error) {
	statements, err := sql.Analyze(text, &catalog.Catalog{}, sql.Options{
		SearchPath: []string{catalog.SystemSchema}, MaxBytes: MaxStatement,
		Created: func(schema, _ string) bool { return schema != catalog.SystemSchema },
	})
	var unknown *sql.UnknownRelationError
	if errors.As(err, &unknown) {
		return nil, fmt.Errorf("a name cannot be resolved without the target's catalog: write it with its schema: %w", err)
	}
	if err != nil {
		return nil, err
	}
	all := make([]protocol.Reading, 0, len(statements))
	for i := range statements {
		reading, err := untargeted(&statements[i])
		if err != nil {
			return nil, err
		}
		all = append(all, reading)
	}
	return all, nil
}

func untargeted(s *sql.Statement) (protocol.Reading, error) {
	if s.Refusal != nil {
		return protocol.Reading{}, fmt.Errorf("no policy can allow it: %w", s.Refusal)
	}
	reading := protocol.Reading{Operation: policy.Operation{Properties: s.Properties}}
	var operators, functions, relations []string
	for _, a := range newStatement(s).operation.Accesses {
		own, system := strings.CutPrefix(a.Resource, catalog.SystemSchema+".")
		operator, isOperator := strings.CutPrefix(a.Resource, "operator:"+catalog.SystemSchema+".")
		switch {
		case a.Action == sql.ActionExecute && isOperator:
			operators = append(operators, operator)
			continue
		case a.Action == sql.ActionExecute && system && !called(s.Text, own):
			continue // a column, which without the catalog may also be a call
		case a.Action == sql.ActionExecute && system && slices.Contains(wellKnown, own):
			functions = append(functions, own)
			continue
		case a.Action == sql.ActionExecute && system:
			return reading, fmt.Errorf("what function %s does is known to the target's catalog only", own)
		}
		if a.Resource != "" && !strings.Contains(a.Resource, ":") && a.Action != sql.ActionSet && a.Action != sql.ActionShow {
			relations = append(relations, a.Resource)
		}
		reading.Operation.Accesses = append(reading.Operation.Accesses, a)
	}
	if len(reading.Operation.Accesses) == 0 {
		// What reads nothing by name still evaluates its expressions.
		reading.Operation.Accesses = []policy.Access{{Action: sql.ActionEvaluate}}
	}
	assume := func(names []string, format string) {
		if len(names) > 0 {
			slices.Sort(names)
			reading.Assumed = append(reading.Assumed, fmt.Sprintf(format, strings.Join(slices.Compact(names), ", ")))
		}
	}
	assume(relations, "read without the target's catalog: %s is taken for a table; what a view, a rule or inheritance reaches is not known, nor whether masks refuse the statement")
	assume(functions, "taken for the server's own function: %s")
	assume(operators, "taken for the server's own operator: %s")
	return reading, nil
}

// called says whether a name stands before a parenthesis.
func called(text, name string) bool {
	found, err := regexp.MatchString(`(?i)(^|[^\w$])"?`+regexp.QuoteMeta(name)+`"?\s*\(`, text)
	return found || err != nil
}

// wellKnown are functions of the server that change nothing and read no data by name,
// whatever their arguments.
var wellKnown = []string{
	"abs", "array_agg", "avg", "bool_and", "bool_or", "btrim", "ceil", "char_length", "concat", "concat_ws", "count", "date_part",
	"date_trunc", "dense_rank", "extract", "floor", "initcap", "jsonb_agg", "jsonb_build_object", "lag", "lead", "left", "length",
	"lower", "ltrim", "max", "md5", "min", "now", "rank", "replace", "right", "round", "row_number", "rtrim", "split_part",
	"string_agg", "substr", "substring", "sum", "to_char", "to_date", "to_timestamp", "trim", "upper",
}
