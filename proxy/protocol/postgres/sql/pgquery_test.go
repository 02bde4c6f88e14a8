// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
	"github.com/doorward/doorward/test/pgquery"
)

var (
	mutants  = flag.Int("mutants", 0, "how many `texts` are made for the comparison with PostgreSQL's parser; 0 is 12,000, or 2,000,000 with DOORWARD_LONG=1")
	mutation = flag.Uint64("mutation-seed", 1, "the `seed` of these texts")
)

// TestParsesLikePostgreSQL holds the analysis against PostgreSQL's own parser
// (checklist 11): what is let through is what that one reads too, cut at the same
// places into the same statements, with the same names and constants.
func TestParsesLikePostgreSQL(t *testing.T) {
	t.Parallel()
	long := os.Getenv("DOORWARD_LONG") != ""
	seeds, regression := ownTexts(t), regressionTexts(t)
	if !long {
		regression = everyNth(regression, 6)
	}
	c := newComparison(t)
	for _, list := range []struct {
		name  string
		texts []string
	}{{"own", seeds}, {"regression", regression}} {
		for part := range slices.Chunk(list.texts, batch) {
			c.compare(part)
		}
		c.report(list.name)
	}
	count := *mutants
	if count == 0 {
		if count = 12_000; long {
			count = 2_000_000
		}
	}
	r := rand.New(rand.NewPCG(*mutation, 0))
	m := mutator{r: r, seeds: append(slices.Clone(seeds), regression...)}
	for done := 0; done < count && c.differences < maxReported; done += batch {
		texts := make([]string, min(batch, count-done))
		for i := range texts {
			texts[i] = m.text()
		}
		c.compare(texts)
	}
	c.report("mutants")
}

const (
	batch       = 512
	maxReported = 50
)

func everyNth(texts []string, n int) []string {
	var out []string
	for i := 0; i < len(texts); i += n {
		out = append(out, texts[i])
	}
	return out
}

// comparison counts what came of the texts.
type comparison struct {
	t           *testing.T
	parser      *pgquery.Parser
	differences int

	texts, both, neither int
	stricter             map[string]int    // by the reason of the refusal
	examples             map[string]string // one of each
	actions              map[string]int    // let through, and refused by PostgreSQL by ofActions
}

func newComparison(t *testing.T) *comparison {
	t.Helper()
	p, err := pgquery.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // it may have ended with the context
	return &comparison{t: t, parser: p, stricter: map[string]int{}, examples: map[string]string{}, actions: map[string]int{}}
}

func (c *comparison) compare(texts []string) {
	c.t.Helper()
	answers, err := c.parser.Parse(texts)
	if err != nil {
		c.t.Fatal(err)
	}
	for i, text := range texts {
		c.one(text, answers[i])
	}
}

func (c *comparison) one(text string, reference pgquery.Answer) {
	c.t.Helper()
	c.texts++
	outlines, refusal := sql.Outlines(text)
	switch {
	case refusal != nil && reference.Error != "":
		c.neither++
	case refusal != nil:
		c.stricter[refusal.Message]++
		if have, ok := c.examples[refusal.Message]; !ok || len(text) < len(have) {
			c.examples[refusal.Message] = text
		}
	default:
		c.both++
		difference := ""
		if reference.Error != "" {
			c.both--
			action := ofAction(reference.Error)
			for why, pattern := range ofItsOwn {
				if action == "" && pattern.MatchString(text) {
					action = why
				}
			}
			if action != "" {
				c.actions[action]++
				return
			}
			difference = "PostgreSQL refuses it: " + reference.Error
		} else {
			difference = cmp.Diff(expected(reference.Statements, outlines), outlines, cmpopts.EquateEmpty())
		}
		if database := slices.ContainsFunc(reference.Statements, crossDatabase); difference != "" && database {
			c.actions["names of three parts, refused where the parser loses the rest (TestRefusals)"]++
			return
		}
		if difference == "" || !c.passes(text, outlines) {
			return
		}
		c.differences++
		if c.differences <= maxReported {
			c.t.Errorf("%q: -PostgreSQL +analysis: %s", text, difference)
		}
	}
}

func crossDatabase(s pgquery.Statement) bool {
	return slices.ContainsFunc(s.Relations, func(name string) bool { return strings.Count(name, ".") > 1 })
}

// passes says whether a text is let through where there is everything it names.
func (c *comparison) passes(text string, outlines []sql.Outline) bool {
	var tables []string
	for _, o := range outlines {
		for _, name := range o.Relations {
			if strings.Count(name, ".") < 2 && !slices.Contains(tables, name) {
				tables = append(tables, name)
			}
		}
	}
	cat := smallCatalog(c.t, tables...)
	passes := func(text string) bool {
		_, err := sql.Analyze(text, cat, options())
		var unknown *sql.UnknownRelationError
		return err == nil || errors.As(err, &unknown)
	}
	for _, o := range outlines { // functions may still be unknown, and hide what follows them
		if !passes(text[o.Start:o.End]) {
			return false
		}
	}
	return passes(text)
}

// ofActions are refusals by the code behind the grammar: PostgreSQL reads a text
// as a whole before it runs any of it, so that nothing comes of one that it reads
// in no way. What the lexer and the grammar refuse is not among them.
var ofActions = []string{
	"WITH TIES cannot be specified", "FOREIGN KEY constraints cannot be marked", "invalid publication object list", "unrecognized partitioning strategy",
	"unrecognized hash partition bound", "unrecognized column option", "type modifier cannot have", "wrong number of parameters on", "improper qualified name",
	"only string constants are supported in JSON_TABLE", "multiple COLLATE clauses not allowed", "invalid schema name",
}

// ofItsOwn are texts that the library refuses and the server does not, or that
// cannot be told by the message.
var ofItsOwn = map[string]*regexp.Regexp{
	"comments between words that are read as one (the library only)": regexp.MustCompile(`(?is)\b(with|without|not|nulls|format)\s*(/\*|--)`),
	"subscripts behind the name of a relation":                       regexp.MustCompile(`(?is)\b(from|join|into|update|only|table|,)\s[^;]*\[`),
}

func ofAction(message string) string {
	for _, known := range ofActions {
		if strings.HasPrefix(message, known) {
			return known
		}
	}
	return ""
}

// expected is what PostgreSQL's parser has read, in the words of the other one,
// as far as the two may differ.
func expected(statements []pgquery.Statement, got []sql.Outline) []sql.Outline {
	var out []sql.Outline
	for i, s := range statements {
		o := sql.Outline{
			Node: s.Node, Start: s.Start, End: s.End,
			Relations: s.Relations, Functions: s.Functions, Columns: s.Columns,
		}
		if other, ok := renamed[s.Node]; ok {
			o.Node = other
		}
		if i < len(got) {
			alike(&o, s, got[i])
		}
		out = append(out, o)
	}
	return out
}

// renamed are parse nodes that have another name in the parser of the analysis.
var renamed = map[string]string{
	"CreateTrigStmt": "CreateTriggerStmt", "AlterTableSpaceOptionsStmt": "AlterTableSpaceStmt", "DropSubscriptionStmt": "DropStmt",
}

// alike takes out what is written in two ways and comes to the same.
func alike(o *sql.Outline, reference pgquery.Statement, got sql.Outline) {
	// Fields of EXTRACT and paths of JSON_TABLE are constants for one of them only.
	for _, text := range got.Strings {
		if !slices.Contains(reference.Strings, text) {
			o.Strings = append(o.Strings, "without "+text)
		} else {
			o.Strings = append(o.Strings, text)
		}
	}
	// Keywords that call built-in functions: an unqualified name may be any of the
	// path. The two that the parser qualifies wrongly are taken as unqualified.
	for i, name := range o.Functions {
		bare, builtin := strings.CutPrefix(name, "pg_catalog.")
		switch {
		case slices.Contains(got.Functions, name):
		case builtin && slices.Contains(got.Functions, bare):
			o.Functions[i] = bare
		case name == "substring" || name == "overlay":
			o.Functions[i] = "pg_catalog." + name
		}
	}
	// What follows a subscript is a part of the reference for one of them only, and
	// the columns of a recursive view are a query for the other.
	if slices.Contains(got.Columns, sql.Subscripted) || got.Node == "ViewStmt" {
		o.Columns = got.Columns
	}
	slices.Sort(o.Functions)
	o.Functions = slices.Compact(o.Functions)
}

// report says what the texts came to, and which ones only the analysis refuses.
func (c *comparison) report(name string) {
	c.t.Helper()
	c.t.Logf("%s: %d texts: %d read alike, %d refused by both, %d differences; refused by the analysis alone:",
		name, c.texts, c.both, c.neither, c.differences)
	classes := map[string]int{}
	example := map[string]string{}
	for message, n := range c.stricter {
		class := strings.Join(strings.Fields(quoted.ReplaceAllString(message, "…")), " ")
		classes[class] += n
		example[class] = c.examples[message]
	}
	for _, class := range slices.SortedFunc(maps.Keys(classes), func(x, y string) int { return classes[y] - classes[x] }) {
		c.t.Logf("%7d  %s, as in %s", classes[class], class, shortened(example[class]))
	}
	for _, action := range slices.Sorted(maps.Keys(c.actions)) {
		c.t.Logf("%7d  left to PostgreSQL to refuse: %s", c.actions[action], action)
	}
	clear(c.actions)
	c.texts, c.both, c.neither = 0, 0, 0
	clear(c.stricter)
	clear(c.examples)
}

func shortened(text string) string {
	const most = 160
	if len(text) > most {
		return fmt.Sprintf("%.*q…", most, text)
	}
	return fmt.Sprintf("%q", text)
}
