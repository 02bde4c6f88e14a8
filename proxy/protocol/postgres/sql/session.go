// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strconv"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"
)

// lockedParameters must stay as the proxy set them at the session's start:
// names would resolve otherwise, text would be read otherwise, or the target's
// log would name another actor.
var lockedParameters = map[string]string{
	"search_path":                 "names would mean other objects",
	"role":                        "the session would act as another role",
	"session_authorization":       "the session would act as another role",
	"application_name":            "it names the actor in the target's own log",
	"standard_conforming_strings": "string constants would be read differently",
	"backslash_quote":             "string constants would be read differently",
	"escape_string_warning":       "string constants would be read differently",
	"client_encoding":             "text would be read differently; only UTF8 is allowed",
	"session_replication_role":    "triggers and constraints would not run",
}

func (a *analysis) variableSet(s *ast.VariableSetStmt) {
	name := strings.ToLower(s.Name)
	p := &Parameter{Name: name, Local: s.IsLocal}
	switch s.Kind {
	case ast.VAR_SET_MULTI:
		a.out.Kind = "SET"
		a.access(ActionTransaction, "", nil)
		a.out.Effects.Transaction = TransactionCharacteristics
		a.transactionMode(s.Args)
		if !strings.HasPrefix(name, "transaction") && !strings.HasPrefix(name, "session characteristics") {
			a.unknownNode(s)
		}
		return
	case ast.VAR_RESET_ALL:
		a.out.Kind = "RESET"
		p.Name, p.Reset = parameterAll, true
	case ast.VAR_RESET:
		a.out.Kind = "RESET"
		p.Reset = true
	case ast.VAR_SET_DEFAULT:
		a.out.Kind = "SET"
		p.Reset = true
	case ast.VAR_SET_VALUE:
		a.out.Kind = "SET"
		p.Value = settingValue(s.Args)
	default: // VAR_SET_CURRENT
		a.out.Kind = "SET"
		a.unknownNode(s)
	}
	a.out.Effects.SetsParameter = p
	a.access(ActionSet, p.Name, nil)
	if why, locked := lockedParameters[p.Name]; locked {
		if p.Name == "client_encoding" && !p.Reset && isUTF8(p.Value) {
			return
		}
		a.refuse(refuse(StateInsufficientPrivilege, "Remove the statement; the proxy sets this parameter for the session.",
			"parameter is set by the proxy and cannot be changed: %q: %s", p.Name, why))
	}
}

func isUTF8(value string) bool {
	v := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(value))
	return v == "utf8" || v == "unicode"
}

// settingValue writes the value of SET as the server would keep it, as far as
// it is plain.
func settingValue(l *ast.NodeList) string {
	if l == nil {
		return ""
	}
	var parts []string
	for _, n := range l.Items {
		if c, ok := n.(*ast.A_Const); ok {
			n = c.Val
		}
		switch v := n.(type) {
		case *ast.String:
			parts = append(parts, v.SVal)
		case *ast.Integer:
			parts = append(parts, strconv.Itoa(v.IVal))
		default:
			if !isNilNode(n) {
				parts = append(parts, n.SqlString())
			}
		}
	}
	return strings.Join(parts, ", ")
}

// transactionMode finds READ WRITE among the modes of BEGIN or SET TRANSACTION.
func (a *analysis) transactionMode(l *ast.NodeList) {
	if l == nil {
		return
	}
	for _, n := range l.Items {
		d, ok := n.(*ast.DefElem)
		if !ok || d.Defname != "transaction_read_only" {
			continue
		}
		if b, ok := d.Arg.(*ast.Boolean); ok && b.BoolVal {
			continue
		}
		if i, ok := d.Arg.(*ast.Integer); ok && i.IVal != 0 {
			continue
		}
		a.property(PropertyTransactionReadWrite)
	}
}

var transactionKinds = map[ast.TransactionStmtKind]struct {
	words string
	kind  TransactionKind
}{
	ast.TRANS_STMT_BEGIN:             {"BEGIN", TransactionBegin},
	ast.TRANS_STMT_START:             {"START TRANSACTION", TransactionBegin},
	ast.TRANS_STMT_COMMIT:            {"COMMIT", TransactionCommit},
	ast.TRANS_STMT_ROLLBACK:          {"ROLLBACK", TransactionRollback},
	ast.TRANS_STMT_SAVEPOINT:         {"SAVEPOINT", TransactionSavepoint},
	ast.TRANS_STMT_RELEASE:           {"RELEASE", TransactionRelease},
	ast.TRANS_STMT_ROLLBACK_TO:       {"ROLLBACK", TransactionRollbackTo},
	ast.TRANS_STMT_PREPARE:           {"PREPARE TRANSACTION", TransactionPrepare},
	ast.TRANS_STMT_COMMIT_PREPARED:   {"COMMIT PREPARED", TransactionCommitPrepared},
	ast.TRANS_STMT_ROLLBACK_PREPARED: {"ROLLBACK PREPARED", TransactionRollbackPrepared},
}

func (a *analysis) transaction(s *ast.TransactionStmt) {
	k, ok := transactionKinds[s.Kind]
	if !ok {
		a.unknownNode(s)
		return
	}
	a.out.Kind = k.words
	a.out.Effects.Transaction = k.kind
	a.out.Effects.Chain = s.Chain
	a.access(ActionTransaction, "", nil)
	a.transactionMode(s.Options)
}

func (a *analysis) discard(s *ast.DiscardStmt) {
	a.out.Kind = "DISCARD"
	a.access(ActionSession, "", nil)
	e := &a.out.Effects
	switch s.Target {
	case ast.DISCARD_ALL:
		e.Discards, e.DeallocatesAll, e.ClosesAllCursors = discardAll, true, true
	case ast.DISCARD_PLANS:
		e.Discards = discardPlans
	case ast.DISCARD_SEQUENCES:
		e.Discards = discardSequences
	case ast.DISCARD_TEMP:
		e.Discards = discardTemp
	default:
		a.unknownNode(s)
	}
}

// prepare analyses the statement under the name; EXECUTE finds it again.
func (a *analysis) prepare(s *ast.PrepareStmt) {
	a.out.Kind = "PREPARE"
	a.list(s.Argtypes, nil)
	inner := &Statement{Text: a.out.Text, Normalized: a.out.Normalized, cat: a.cat}
	inner.Effects.ReadOnly = true
	b := &analysis{cat: a.cat, opt: a.opt, path: a.path, firsts: a.firsts, out: inner, seen: a.seen}
	// The name of the prepared statement is a token of the text too; leaving
	// it unaccounted for is the safe side.
	b.facts.tokens = a.facts.tokens
	if err := b.run(s.Query); err != nil {
		a.fail(err)
		return
	}
	b.finish()
	a.adopt(inner)
	a.out.Effects.Prepares, a.out.Effects.Prepared, a.out.Effects.ReadOnly = s.Name, inner, false
	// All references are the inner statement's, which is checked by itself.
	a.facts.inner, a.facts.tokens = inner, nil
}

func (a *analysis) executePrepared(s *ast.ExecuteStmt) {
	a.list(s.Params, nil)
	var inner *Statement
	ok := false
	if a.opt.Prepared != nil {
		inner, ok = a.opt.Prepared(s.Name)
	}
	if !ok {
		a.fail(refuse(StateUndefinedStatement, "PREPARE it in this session first.",
			"prepared statement does not exist: %q", s.Name))
		return
	}
	a.adopt(inner)
	a.out.Effects.Executes = s.Name
	e := &a.out.Effects
	e.IsDDL = e.IsDDL || inner.Effects.IsDDL
	e.MayChangeCatalog = e.MayChangeCatalog || inner.Effects.MayChangeCatalog
	e.ReadOnly = e.ReadOnly && inner.Effects.ReadOnly
	a.facts.inner = inner
}

// adopt takes over what another statement touches.
func (a *analysis) adopt(inner *Statement) {
	a.accesses = append(a.accesses, inner.Accesses...)
	a.relations = append(a.relations, inner.Relations...)
	for _, p := range inner.Properties {
		a.property(p)
	}
	if inner.Refusal != nil {
		a.refuse(inner.Refusal)
	}
}
