// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	doorrelay "github.com/doorward/doorward/proxy/relay"
	"github.com/doorward/doorward/proxy/server"
)

// idleTargetSpec is what the target that idles is given.
type idleTargetSpec struct {
	// Real is the connection string of a PostgreSQL that answers for it.
	Real string
	// Certificates has the pair that is shown to clients.
	Certificates string
}

// idleTarget is a PostgreSQL that takes thousands of sessions. What they ask
// when they start is answered by one connection to a real one; those that read
// the catalog get a connection of their own.
type idleTarget struct {
	real   string
	secure *tls.Config

	mu     sync.Mutex // guards shared
	shared *pgconn.HijackedConn
}

// catalogReader is how the proxy names the connections that read the catalog.
const catalogReader = "application_name\x00doorward:catalog\x00"

func serveIdleTarget(ctx context.Context, specPath string) error {
	content, err := os.ReadFile(specPath)
	if err != nil {
		return fmt.Errorf("cannot read what to serve: %w", err)
	}
	var spec idleTargetSpec
	if err := json.Unmarshal(content, &spec); err != nil {
		return fmt.Errorf("cannot read what to serve: %w", err)
	}
	t := &idleTarget{real: spec.Real, secure: server.TLS(&server.CertificateDir{Path: spec.Certificates})}
	if t.shared, err = t.reach(ctx); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	defer listener.Close()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	fmt.Fprintln(os.Stdout, listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil // the listener was closed: the parent ended
		}
		go func() {
			defer conn.Close()
			if err := t.session(ctx, conn); err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "idle target:", err)
			}
		}()
	}
}

// reach connects to the real PostgreSQL.
func (t *idleTarget) reach(ctx context.Context) (*pgconn.HijackedConn, error) {
	conn, err := pgconn.Connect(ctx, t.real)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the real target: %w", err)
	}
	if err := conn.SyncConn(ctx); err != nil {
		return nil, fmt.Errorf("cannot reach the real target: %w", err)
	}
	return conn.Hijack()
}

// session lets a client in and answers until it leaves.
func (t *idleTarget) session(ctx context.Context, raw net.Conn) error {
	var request [8]byte
	if _, err := io.ReadFull(raw, request[:]); err != nil {
		return err
	}
	if [8]byte(sslRequest) != request {
		return errors.New("a client came without TLS")
	}
	if _, err := raw.Write([]byte{'S'}); err != nil {
		return err
	}
	conn := tls.Server(raw, t.secure)
	var length [4]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return err
	}
	packet := make([]byte, binary.BigEndian.Uint32(length[:])-4)
	if _, err := io.ReadFull(conn, packet); err != nil {
		return err
	}
	if err := t.greet(conn); err != nil {
		return err
	}
	if bytes.Contains(packet, []byte(catalogReader)) {
		own, err := t.reach(ctx)
		if err != nil {
			return err
		}
		defer own.Conn.Close()
		return doorrelay.Pair(ctx,
			func(context.Context) error { return doorrelay.Copy(own.Conn, conn) },
			func(context.Context) error { return doorrelay.Copy(conn, own.Conn) })
	}
	for {
		question, err := segment(conn)
		if err != nil {
			return err
		}
		answer, err := t.ask(question)
		if err != nil {
			return err
		}
		if _, err := conn.Write(answer); err != nil {
			return err
		}
	}
}

func (t *idleTarget) greet(conn net.Conn) error {
	messages := []pgproto3.BackendMessage{&pgproto3.AuthenticationOk{}}
	for name, value := range t.shared.ParameterStatuses {
		messages = append(messages, &pgproto3.ParameterStatus{Name: name, Value: value})
	}
	messages = append(messages, &pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	var out []byte
	var err error
	for _, m := range messages {
		if out, err = m.Encode(out); err != nil {
			return err
		}
	}
	_, err = conn.Write(out)
	return err
}

// ask has the real PostgreSQL answer messages that end with a Query or a Sync.
func (t *idleTarget) ask(question []byte) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := t.shared.Conn.Write(question); err != nil {
		return nil, err
	}
	return until(t.shared.Conn, 'Z')
}

// segment reads the messages of a client up to a Query or a Sync.
func segment(r io.Reader) ([]byte, error) { return until(r, 'Q', 'S') }

// until reads messages up to one of a kind.
func until(r io.Reader, kinds ...byte) ([]byte, error) {
	var all []byte
	for {
		var header [5]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return nil, err
		}
		if header[0] == 'X' {
			return nil, io.EOF
		}
		all = append(all, header[:]...)
		start := len(all)
		all = append(all, make([]byte, binary.BigEndian.Uint32(header[1:])-4)...)
		if _, err := io.ReadFull(r, all[start:]); err != nil {
			return nil, err
		}
		if bytes.IndexByte(kinds, header[0]) >= 0 {
			return all, nil
		}
	}
}
