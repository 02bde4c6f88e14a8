// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/test/account"
)

// worker is one client or visitor.
type worker struct {
	load    *Load
	number  int
	visitor bool
	chance  *rand.Rand
	made    int
	conn    *pgconn.PgConn
	session *Session

	// Guarded by the load's mutex: when the last operation that was answered
	// began, when it was answered, and the longest wait since the last Window.
	servedBegan, served time.Time
	longest             time.Duration
}

func (w *worker) run(ctx context.Context) {
	pause := redial
	for ctx.Err() == nil {
		err := w.visit(ctx)
		wait := w.load.options.Interval
		if err == nil {
			pause = redial
		} else {
			wait, pause = pause, min(2*pause, maxRedial)
		}
		if w.session != nil {
			pause = redial
		}
		rest(ctx, wait)
	}
}

// rest waits, unless the load ends.
func rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// visit is one session from login to its end.
func (w *worker) visit(ctx context.Context) error {
	w.session = nil
	if err := w.login(ctx); err != nil {
		if ctx.Err() == nil {
			w.load.loginFailed(err)
		}
		return err
	}
	var err error
	for err == nil && ctx.Err() == nil {
		// An operation under way when the load ends may end.
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
		err = w.operate(bound)
		cancel()
		if w.visitor {
			break
		}
		// Ticks of their own keep the clients apart.
		if err == nil {
			rest(ctx, w.load.options.Interval/2+time.Duration(w.chance.Int64N(int64(w.load.options.Interval))))
		}
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = w.conn.Close(bound)
	w.load.ended(w.session, err)
	return err
}

// login opens a session and learns its name.
func (w *worker) login(ctx context.Context) error {
	config, err := w.load.options.Config(ctx, w.number)
	if err != nil {
		return err
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	bound, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	results, err := conn.Exec(bound, "SELECT pg_catalog.current_setting('application_name')").ReadAll()
	if err != nil || len(results) != 1 || len(results[0].Rows) != 1 {
		_ = conn.Close(bound)
		return errors.Join(errors.New("the session has no name"), err)
	}
	w.conn = conn
	w.session = w.load.began(w.number, w.visitor, string(results[0].Rows[0][0]))
	return nil
}

// operate runs one operation. An error ends the session.
func (w *worker) operate(ctx context.Context) error {
	began := time.Now()
	w.made++
	kind := "rw"[w.chance.IntN(2)]
	mark := account.Mark(kind, w.load.options.Label, w.number, w.made)
	var err error
	switch shape := w.chance.IntN(3); {
	case kind == 'r' && shape == 0:
		err = w.extended(ctx, mark, fmt.Sprintf("SELECT '%s', text FROM pages WHERE n < $1", mark))
	case kind == 'r':
		err = w.text(ctx, mark, fmt.Sprintf("SELECT '%s', n FROM pages WHERE n < 3", mark))
	case shape == 0:
		err = w.extended(ctx, mark, fmt.Sprintf("INSERT INTO ledger (mark, n) VALUES ('%s', $1)", mark))
	case shape == 1:
		err = w.transaction(ctx, mark)
	default:
		err = w.text(ctx, mark, fmt.Sprintf("INSERT INTO ledger (mark, n) VALUES ('%s', %d)", mark, w.number))
	}
	return w.load.operated(w, mark, began, err)
}

func (w *worker) text(ctx context.Context, mark, statement string) error {
	results := w.conn.Exec(ctx, statement)
	for results.NextResult() {
		w.load.delivered(mark)
		_, _ = results.ResultReader().Close() // Close of the whole has the error
	}
	return results.Close()
}

func (w *worker) extended(ctx context.Context, mark, statement string) error {
	reader := w.conn.ExecParams(ctx, statement, [][]byte{fmt.Append(nil, w.number%100)}, nil, nil, nil)
	for reader.NextRow() {
		w.load.delivered(mark)
	}
	_, err := reader.Close()
	return err
}

// transaction is an operation of three statements; the answer to COMMIT is what counts.
func (w *worker) transaction(ctx context.Context, mark string) error {
	for _, statement := range []string{"BEGIN", fmt.Sprintf("INSERT INTO ledger (mark, n) VALUES ('%s', %d)", mark, w.number), "COMMIT"} {
		if _, err := w.conn.Exec(ctx, statement).ReadAll(); err != nil {
			if !w.conn.IsClosed() && w.conn.TxStatus() != 'I' {
				_, _ = w.conn.Exec(ctx, "ROLLBACK").ReadAll() // the next operation finds out
			}
			return err
		}
	}
	return nil
}
