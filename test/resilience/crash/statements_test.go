// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

const divisionByZero = "22012"

// writes are what a client does that changes something, each in one of the
// protocol's ways; readings what changes nothing.
var (
	writes = []func(*worker, context.Context) error{
		(*worker).simpleUpdate, (*worker).simpleInsert, (*worker).severalInOneText, (*worker).parameters,
		(*worker).prepared, (*worker).pipelined, (*worker).transaction,
	}
	readings = []func(*worker, context.Context) error{
		(*worker).simpleSelect, (*worker).pageSelect, (*worker).selectWithParameters, (*worker).selectThatFails, (*worker).selectThenUpdate,
	}
)

// pad makes a statement as long as the load wants it.
func (w *worker) pad() string {
	if w.options.padding == 0 {
		return ""
	}
	return " /* " + strings.Repeat("x", w.options.padding) + " */"
}

// text runs statements in the simple protocol; marks are theirs, in order.
func (w *worker) text(ctx context.Context, statement string, marks ...string) error {
	results := w.conn.Exec(ctx, statement+w.pad())
	for i := 0; results.NextResult(); i++ {
		reader := results.ResultReader()
		if len(reader.FieldDescriptions()) > 0 && i < len(marks) {
			w.heard.note(w.heard.delivered, marks[i])
		}
		if _, err := reader.Close(); err == nil && i < len(marks) {
			w.heard.note(w.heard.delivered, marks[i])
			w.heard.note(w.heard.answered, marks[i])
		}
	}
	return results.Close()
}

// extended reads the answer to one statement of the extended protocol.
func (w *worker) extended(reader *pgconn.ResultReader, text string) error {
	for reader.NextRow() {
		w.heard.note(w.heard.delivered, text)
	}
	_, err := reader.Close()
	if err == nil {
		w.heard.note(w.heard.delivered, text)
		w.heard.note(w.heard.answered, text)
	}
	return err
}

func (w *worker) simpleUpdate(ctx context.Context) error {
	text := w.mark('w')
	return w.text(ctx, fmt.Sprintf("UPDATE ledger SET mark = '%s' WHERE n = %d", text, w.number), text)
}

func (w *worker) simpleInsert(ctx context.Context) error {
	text := w.mark('w')
	return w.text(ctx, fmt.Sprintf("INSERT INTO ledger (mark, n) VALUES ('%s', %d)", text, 1000+w.number), text)
}

func (w *worker) severalInOneText(ctx context.Context) error {
	first, second := w.mark('w'), w.mark('w')
	return w.text(ctx, fmt.Sprintf("INSERT INTO ledger (mark, n) VALUES ('%s', %d); UPDATE ledger SET mark = '%s' WHERE n = %[2]d", first, w.number, second), first, second)
}

func (w *worker) parameters(ctx context.Context) error {
	text := w.mark('w')
	statement := fmt.Sprintf("INSERT INTO ledger (mark, n) VALUES ('%s', $1)", text)
	return w.extended(w.conn.ExecParams(ctx, statement+w.pad(), [][]byte{w.parameter()}, nil, nil, nil), text)
}

// prepared runs one statement three times: each time counts.
func (w *worker) prepared(ctx context.Context) error {
	const name = "again"
	text := w.mark('w')
	if _, err := w.conn.Prepare(ctx, name, fmt.Sprintf("UPDATE ledger SET mark = '%s' WHERE n = $1%s", text, w.pad()), nil); err != nil {
		return err
	}
	for range 3 {
		if err := w.extended(w.conn.ExecPrepared(ctx, name, [][]byte{w.parameter()}, nil, nil), text); err != nil {
			return err
		}
	}
	return w.conn.Deallocate(ctx, name)
}

func (w *worker) pipelined(ctx context.Context) error {
	pipeline := w.conn.StartPipeline(ctx)
	var marks []string
	for range 4 {
		text := w.mark('w')
		marks = append(marks, text)
		statement := fmt.Sprintf("INSERT INTO ledger (mark, n) VALUES ('%s', $1)", text)
		pipeline.SendQueryParams(statement+w.pad(), [][]byte{w.parameter()}, nil, nil, nil)
	}
	err := pipeline.Sync()
	for i := 0; err == nil && i < len(marks); i++ {
		var result any
		if result, err = pipeline.GetResults(); err != nil {
			break
		}
		if reader, ok := result.(*pgconn.ResultReader); ok {
			err = w.extended(reader, marks[i])
		}
	}
	return errors.Join(err, pipeline.Close())
}

func (w *worker) transaction(ctx context.Context) error {
	text := w.mark('w')
	if err := w.text(ctx, "BEGIN"); err != nil {
		return err
	}
	if err := w.text(ctx, fmt.Sprintf("INSERT INTO ledger (mark, n) VALUES ('%s', %d)", text, w.number), text); err != nil {
		return err
	}
	return w.text(ctx, "COMMIT")
}

func (w *worker) simpleSelect(ctx context.Context) error {
	text := w.mark('r')
	return w.text(ctx, fmt.Sprintf("SELECT '%s', n FROM pages WHERE n < 3", text), text)
}

// pageSelect has an answer of some 200 kB, so that a kill falls into its middle.
func (w *worker) pageSelect(ctx context.Context) error {
	text := w.mark('r')
	return w.text(ctx, fmt.Sprintf("SELECT '%s', text FROM pages", text), text)
}

func (w *worker) selectWithParameters(ctx context.Context) error {
	text := w.mark('r')
	statement := fmt.Sprintf("SELECT '%s', text FROM pages WHERE n < $1", text)
	return w.extended(w.conn.ExecParams(ctx, statement+w.pad(), [][]byte{w.parameter()}, nil, nil, nil), text)
}

// selectThatFails gets an error of the target, which tells of its data too.
func (w *worker) selectThatFails(ctx context.Context) error {
	text := w.mark('r')
	err := w.text(ctx, fmt.Sprintf("SELECT 1 / (n - n), '%s' FROM pages WHERE n = 1", text))
	var said *pgconn.PgError
	if errors.As(err, &said) && said.Code == divisionByZero {
		w.heard.note(w.heard.delivered, text)
		return nil
	}
	return err
}

func (w *worker) selectThenUpdate(ctx context.Context) error {
	first, second := w.mark('r'), w.mark('w')
	return w.text(ctx, fmt.Sprintf("SELECT '%s', n FROM pages WHERE n < 3; UPDATE ledger SET mark = '%s' WHERE n = %d", first, second, w.number), first, second)
}

func (w *worker) parameter() []byte { return []byte(strconv.Itoa(w.number)) }
