// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package evasion

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// The ways in which a case is sent.
const (
	viaPsql   = "psql"
	viaSimple = "simple"
	viaText   = "text"
	viaBinary = "binary"
)

var clients = []string{viaPsql, viaSimple, viaText, viaBinary}

// caseBound is how long the statements of one case may take.
const caseBound = 30 * time.Second

// exec runs a script as the superuser, past the proxy.
func (w *twin) exec(ctx context.Context, database, script string) error {
	conn, err := pgx.Connect(ctx, w.DSN("postgres", w.Password, database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err = conn.PgConn().Exec(ctx, script).ReadAll(); err != nil {
		return fmt.Errorf("cannot set up: %w", err)
	}
	return nil
}

// attempt runs cases in one way and returns everything that came back of each.
func attempt(ctx context.Context, dsn, client, psql string, cases []case1) ([][]byte, error) {
	if client == viaPsql {
		return viaScript(ctx, dsn, psql, cases)
	}
	out := make([][]byte, len(cases))
	var c *wire
	defer func() { c.close() }()
	for i, x := range cases {
		if !x.runs(client) {
			continue
		}
		if c == nil || c.conn.IsClosed() {
			c.close()
			var err error
			if c, err = dial(ctx, dsn); err != nil {
				return nil, err
			}
		}
		out[i] = c.run(ctx, client, x.statements)
	}
	return out, nil
}

// wire is a connection that keeps what it is sent.
type wire struct {
	conn *pgconn.PgConn
	got  bytes.Buffer
}

func dial(ctx context.Context, dsn string) (*wire, error) {
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	w := &wire{}
	config.BuildFrontend = func(r io.Reader, to io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(io.TeeReader(r, &w.got), to)
	}
	if w.conn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	return w, nil
}

func (w *wire) close() {
	if w != nil {
		_ = w.conn.Close(context.Background())
	}
}

// run sends statements and returns all bytes that answered them.
func (w *wire) run(ctx context.Context, client string, statements []string) []byte {
	ctx, cancel := context.WithTimeout(ctx, caseBound)
	defer cancel()
	w.got.Reset()
	for _, s := range statements {
		if client == viaSimple {
			_, _ = w.conn.Exec(ctx, s).ReadAll()
			continue
		}
		format := int16(0)
		if client == viaBinary {
			format = 1
		}
		w.conn.ExecParams(ctx, s, nil, nil, nil, []int16{format}).Read()
	}
	out := bytes.Clone(w.got.Bytes())
	if ctx.Err() != nil {
		out = append(out, "\nthe client gave up"...)
	}
	if !w.conn.IsClosed() {
		_, _ = w.conn.Exec(ctx, "ROLLBACK").ReadAll()
		if _, err := w.conn.Exec(ctx, "DISCARD ALL").ReadAll(); err != nil {
			w.close()
		}
	}
	return out
}

const border = "@@@ case "

// viaScript runs the cases in one psql, which connects anew for each of them.
func viaScript(ctx context.Context, dsn, psql string, cases []case1) ([][]byte, error) {
	out := make([][]byte, len(cases))
	script := &strings.Builder{}
	for i, c := range cases {
		if !c.runs(viaPsql) {
			continue
		}
		fmt.Fprintf(script, "ROLLBACK;\nDISCARD ALL;\n\\echo %s%d\n\\warn %s%d\n%s\n", border, i, border, i, strings.Join(c.statements, "\n"))
	}
	ctx, cancel := context.WithTimeout(ctx, 4*caseBound)
	defer cancel()
	command := exec.CommandContext(ctx, psql, "-X", "-A", "-d", dsn)
	command.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "PAGER=cat")
	command.Stdin = strings.NewReader(script.String())
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("psql: %w: %s", err, tail(stderr.String()))
	}
	for _, stream := range []string{stdout.String(), stderr.String()} {
		for _, part := range strings.Split(stream, border)[1:] {
			number, rest, _ := strings.Cut(part, "\n")
			var i int
			if _, err := fmt.Sscan(number, &i); err != nil {
				return nil, fmt.Errorf("psql printed %q", number)
			}
			out[i] = append(out[i], rest...)
		}
	}
	return out, nil
}

func tail(s string) string { return s[max(0, len(s)-500):] }
