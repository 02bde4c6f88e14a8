// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"github.com/multigres/multigres/go/common/parser/ast"
)

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
		e.ChangesPath = true
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
	b := &analysis{conninfo: a.conninfo, cat: a.cat, opt: a.opt, path: a.path, firsts: a.firsts, out: inner, seen: a.seen}
	b.list(s.Argtypes, nil) // EXECUTE makes values of them
	if err := b.run(s.Query); err != nil {
		a.fail(err)
		return
	}
	b.finish()
	a.adopt(inner)
	a.out.Effects.Prepares, a.out.Effects.Prepared, a.out.Effects.ReadOnly = s.Name, inner, false
	a.facts.inner = inner
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
			`prepared statement "%s" does not exist`, s.Name))
		return
	}
	a.adopt(inner)
	a.out.Effects.Executes = s.Name
	e := &a.out.Effects
	e.IsDDL = e.IsDDL || inner.Effects.IsDDL
	e.MayChangeCatalog = e.MayChangeCatalog || inner.Effects.MayChangeCatalog
	e.ReadOnly = e.ReadOnly && inner.Effects.ReadOnly
	e.ChangesPath = e.ChangesPath || inner.Effects.ChangesPath
	e.RunsCode = e.RunsCode || inner.Effects.RunsCode
	e.RunsText = e.RunsText || inner.Effects.RunsText
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
