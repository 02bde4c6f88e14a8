// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"

	"github.com/multigres/multigres/go/common/parser"
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// Access is one thing a statement does to one resource. Resource is empty where
// the action has none. Columns names the columns that are read or written; nil
// means all of them, or that the statement does not tell.
type Access struct {
	Action   string
	Resource string
	Columns  []string
	// Indirect says that the statement does not name the resource: it is reached
	// through a view, a rule, inheritance, partitions or a foreign key.
	Indirect bool
}

// Statement says what one SQL statement does. It is immutable and may be
// shared between goroutines and cached by (text, search path, catalog
// snapshot, prepared statements).
type Statement struct {
	// Kind is the command in the words of the server's command tag, such as
	// "SELECT" or "CREATE TABLE".
	Kind string
	// Text is the statement's own part of the source, without the semicolon.
	Text string
	// Normalized is the statement with constants replaced by $n, comments and
	// white space levelled. Fingerprint is a digest over it, the accesses, the
	// properties and the relations, so that two statements of one fingerprint
	// are alike to a policy. It does not tell ORDER BY 1 from ORDER BY 2, so a
	// result of CheckMasks must not be cached by it.
	Normalized  string
	Fingerprint string
	// Accesses are sorted and unique, never empty.
	Accesses []Access
	// Properties are sorted and unique names out of the list [Properties].
	Properties []string
	// Relations are the OIDs of all relations touched, with everything that is
	// reached through views, inheritance and partitions, in ascending order.
	Relations []uint32
	// Effects is what the wire layer must know.
	Effects Effects
	// Refusal is set where no policy can allow the statement.
	Refusal *Error
	// Start is where the statement begins in its text, in bytes.
	Start int
	// Pathless says that the statement means the same under any search path.
	Pathless bool

	cat   *catalog.Catalog
	facts maskFacts
}

// TransactionKind says what a statement does to the transaction block.
type TransactionKind string

// The kinds of transaction statements.
const (
	TransactionBegin              TransactionKind = "begin"
	TransactionCommit             TransactionKind = "commit"
	TransactionRollback           TransactionKind = "rollback"
	TransactionSavepoint          TransactionKind = "savepoint"
	TransactionRelease            TransactionKind = "release"
	TransactionRollbackTo         TransactionKind = "rollbackTo"
	TransactionPrepare            TransactionKind = "prepare"
	TransactionCommitPrepared     TransactionKind = "commitPrepared"
	TransactionRollbackPrepared   TransactionKind = "rollbackPrepared"
	TransactionCharacteristics    TransactionKind = "characteristics"
	TransactionDeferConstraints   TransactionKind = "constraints"
	transactionKindNone           TransactionKind = ""
	parameterAll                                  = "all"
	discardAll, discardPlans                      = "all", "plans"
	discardSequences, discardTemp                 = "sequences", "temp"
)

// restoresSettings says whether settings may go back to what they were.
func (k TransactionKind) restoresSettings() bool {
	switch k { //nolint:exhaustive // the others end nothing
	case TransactionCommit, TransactionRollback, TransactionRollbackTo, TransactionPrepare:
		return true
	}
	return false
}

// RestoresSettings says whether settings may be others afterwards, where they
// were changed in the transaction.
func (s *Statement) RestoresSettings() bool { return s.Effects.Transaction.restoresSettings() }

// Parameter is a run-time parameter that a statement sets. Reset means that it
// goes back to its default; Name "all" with Reset is RESET ALL.
type Parameter struct {
	Name  string
	Value string
	// Values are the members of a list; nil for set_config.
	Values []string
	Local  bool
	Reset  bool
}

// Effects is what a statement changes in the session, for the wire layer.
type Effects struct {
	// SetsParameter is the parameter that SET or RESET changes, or nil.
	SetsParameter *Parameter
	// Prepares is the name that PREPARE gives to Prepared.
	Prepares string
	Prepared *Statement
	// Executes names the prepared statement that EXECUTE runs; empty for an
	// EXECUTE within EXPLAIN or CREATE TABLE AS, for which see Statement.Runs.
	Executes string
	// Deallocates names the prepared statement that goes away;
	// DeallocatesAll is DEALLOCATE ALL, DISCARD ALL.
	Deallocates    string
	DeallocatesAll bool
	// Transaction is empty for a statement that is none of these. Chain is AND
	// CHAIN.
	Transaction TransactionKind
	Chain       bool
	// Discards is "all", "plans", "sequences" or "temp" for DISCARD.
	Discards string
	// IsDDL says that the catalog may differ afterwards and is to be loaded
	// again. It is also set for calls whose effect cannot be known.
	IsDDL bool
	// MayChangeCatalog says that a function, procedure or block is called
	// that may have done DDL: load the catalog again before it is relied on.
	MayChangeCatalog bool
	// MovesNames says that existing names may mean other objects afterwards
	// (ALTER ... RENAME, SET SCHEMA, a DROP that uncovers another). Inside a transaction no catalog
	// snapshot can see that: refuse what follows until it has ended.
	MovesNames bool
	// Creates names relations (schema.name) and functions (function:schema.name) that come into being: answer for
	// them in Options.Created until the catalog was loaded after the end of
	// the transaction.
	Creates []string
	// CreatesTemp names temporary relations that come into being: keep them
	// for the rest of the session in Options.TempRelations.
	CreatesTemp []string
	// CopyIn and CopyOut say that the copy sub-protocol follows.
	CopyIn, CopyOut bool
	// Copy is how the data of COPY is written; nil for other statements.
	Copy *CopyFormat
	// DeclaresCursor, Fetches and ClosesCursor name cursors. ClosesAllCursors
	// is CLOSE ALL.
	DeclaresCursor   string
	Fetches          string
	ClosesCursor     string
	ClosesAllCursors bool
	// ChangesPath says that the search path may be another afterwards, as it also
	// may when the transaction ends.
	ChangesPath bool
	// ResetsRole is RESET ROLE, SET SESSION AUTHORIZATION DEFAULT and the like.
	ResetsRole bool
	// RunsCode says that functions of users in other languages than C are called,
	// or blocks: what they set in the session is not seen.
	RunsCode bool
	// RunsText says that text is run as statements, now or by what is defined, so
	// that it could leave the session's role: DO, CREATE FUNCTION, query_to_xml.
	RunsText bool
	// Forward is what must be forwarded in the statement's place; empty for nearly all.
	Forward string
	// Behind is what reading a view that the statement creates reads.
	Behind []Access
	// ReadOnly says that the statement writes nothing, takes no row or table
	// lock stronger than a read's, and calls no function outside the immutable
	// and stable built-in ones that are known to be harmless.
	ReadOnly bool
}

// CallsWhenPlanned says that the statement may call functions of users, in its
// text, behind what it reads or through values. The server runs those that count
// as immutable when it plans, and the checks of domains when it takes parameters.
func (s *Statement) CallsWhenPlanned() bool { return s.facts.calls || len(s.facts.executes) > 0 }

// Pathless says whether all statements of a text mean the same under any search
// path. It is false for what cannot be parsed.
func Pathless(text string) (yes bool) {
	defer func() {
		if recover() != nil {
			yes = false
		}
	}()
	if checkText(text, 0) != nil {
		return false
	}
	if _, e := scan(text); e != nil {
		return false
	}
	trees, err := parser.ParseSQL(text)
	return err == nil && !slices.ContainsFunc(trees, func(t ast.Stmt) bool { return !pathless(t) })
}

// CallsUnknown says whether a function outside the list of harmless ones is called.
func (s *Statement) CallsUnknown() bool { return len(s.facts.executes) > 0 }

// MayLeave says that code runs which may change the session's search path or role
// unseen, that of triggers too. Within a role any counts that is not known to be
// harmless. CursorsRun says that a cursor's statement, which FETCH runs, may.
func (s *Statement) MayLeave(inRole, cursorsRun bool) bool {
	return s.Effects.RunsCode || s.facts.triggers || inRole && s.CallsWhenPlanned() || cursorsRun && s.Effects.Fetches != ""
}

// Runs is the prepared statement behind an EXECUTE, also one within EXPLAIN or
// CREATE TABLE AS; nil where there is none. What was found out about the
// statement holds only as long as the name stands for the same.
func (s *Statement) Runs() *Statement {
	if s.Effects.Prepares != "" {
		return nil // the inner statement of PREPARE is its own text
	}
	return s.facts.inner
}
