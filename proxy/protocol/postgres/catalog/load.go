// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Querier runs one statement over the simple query protocol and returns its
// rows as text, NULL as "". It is called from one goroutine at a time.
type Querier interface {
	Query(ctx context.Context, sql string) ([][]string, error)
}

// QuerierFunc is a Querier in one function.
type QuerierFunc func(ctx context.Context, sql string) ([][]string, error)

// Query calls f.
func (f QuerierFunc) Query(ctx context.Context, sql string) ([][]string, error) { return f(ctx, sql) }

// Load takes a snapshot of the catalog of the database that q is connected to,
// within one read-only transaction. The connection must not be in a
// transaction. On error nothing of the snapshot is usable, and the connection
// should be closed.
func Load(ctx context.Context, q Querier) (*Catalog, error) {
	if _, err := q.Query(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, fmt.Errorf("cannot begin reading the catalog: %w", err)
	}
	c, err := load(ctx, q)
	_, end := q.Query(ctx, "ROLLBACK")
	if err := errors.Join(err, end); err != nil {
		return nil, err
	}
	return c, nil
}

// LoadWithin takes a snapshot within the transaction that the connection is in,
// with what is not committed of it. It changes settings and makes a savepoint,
// which the caller is to roll back; and each query sees what others have committed
// until then, so that the caller must find out whether there was anything.
func LoadWithin(ctx context.Context, q Querier) (*Catalog, error) { return load(ctx, q) }

func load(ctx context.Context, q Querier) (*Catalog, error) {
	b := newBuilder()
	steps := []struct {
		what    string
		query   string
		columns int
		add     func(row []string) error
	}{
		{"settings", querySettings, 0, nil},
		{"database", queryDatabase, 1, b.addDatabase},
		{"relations", queryRelations, 5, b.addRelation},
		{"columns", queryColumns, 6, b.addColumn},
		{"generated columns", queryGenerated, 3, b.addGenerated},
		{"rules", queryRules, 3, b.addRead},
		{"rule functions", queryRuleFunctions, 2, b.addRuleFunction},
		{"inheritance", queryInheritance, 2, b.addInheritance},
		{"functions", queryFunctions, 11, b.addFunction},
		{"types", queryTypes, 2, b.addType},
		{"operators", queryOperators, 2, b.addOperator},
		{"casts", queryCasts, 2, b.addCast},
		{"hidden calls and locks", queryHidden, 1, b.addHidden},
		{"rules of writing", queryWriteRules, 1, b.addWriteRule},
		{"unique columns", queryUnique, 2, b.addUnique},
		{"rules for writes", queryWritten, 2, b.addWritten},
		{"foreign keys", queryReferences, 4, b.addReference},
		{"code of relations", queryCode, 1, b.addCode},
		{"forms of types", queryForms, 4, b.addForm},
		{"triggers", queryTriggers, 1, b.addTriggers},
		{"constraints", queryConstraints, 4, b.addConstraint},
		{"keys of foreign keys", queryForeignKeys, 5, b.addForeignKey},
		{"types that call functions", queryChecked, 3, b.addChecked},
	}
	for _, s := range steps {
		rows, err := q.Query(ctx, s.query)
		if err != nil {
			return nil, fmt.Errorf("cannot read the catalog: %s: %w", s.what, err)
		}
		if s.add == nil {
			continue
		}
		for _, row := range rows {
			if len(row) != s.columns {
				return nil, fmt.Errorf("cannot read the catalog: %s: row has %d columns, want %d", s.what, len(row), s.columns)
			}
			if err := s.add(row); err != nil {
				return nil, fmt.Errorf("cannot read the catalog: %s: %w", s.what, err)
			}
		}
	}
	if err := views(ctx, q, b); err != nil {
		return nil, fmt.Errorf("cannot read the catalog: views: %w", err)
	}
	return b.build(), nil
}

// views reads the definitions of views. Where others hold locks on
// them the catalog is without them: what such a view shows is then unknown.
func views(ctx context.Context, q Querier, b *builder) error {
	for _, text := range []string{querySavepoint, queryPatience} {
		if _, err := q.Query(ctx, text); err != nil {
			return err
		}
	}
	rows, err := q.Query(ctx, queryViews)
	if err != nil {
		_, err = q.Query(ctx, queryForget)
		return err
	}
	for _, row := range rows {
		if len(row) != 2 {
			return fmt.Errorf("row has %d columns, want 2", len(row))
		}
		if err := b.addView(row); err != nil {
			return err
		}
	}
	return nil
}

func oid(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("not an object identifier: %q", text)
	}
	return uint32(n), nil
}
