// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	doorrelay "github.com/doorward/doorward/proxy/relay"
	"github.com/doorward/doorward/proxy/server"
	"github.com/doorward/doorward/test/bench/kit"
)

// tlsRelaySpec is what the relay that opens TLS is given.
type tlsRelaySpec struct {
	Target, TargetCA, Certificates string
}

// sslRequest is what a client sends before TLS (PostgreSQL manual, "SSLRequest").
var sslRequest = binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, 1234<<16|5679)

// serveTLSRelay is the first layer: the proxy's pair of pumps with TLS to both
// sides, and nobody who looks at what passes. Clients prove themselves to the target.
func serveTLSRelay(ctx context.Context, specPath string) error {
	content, err := os.ReadFile(specPath)
	if err != nil {
		return fmt.Errorf("cannot read what to relay: %w", err)
	}
	var spec tlsRelaySpec
	if err := json.Unmarshal(content, &spec); err != nil {
		return fmt.Errorf("cannot read what to relay: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(spec.TargetCA)) {
		return errors.New("cannot read the target's authority")
	}
	up := &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	down := server.TLS(&server.CertificateDir{Path: spec.Certificates})
	listener, err := server.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	telling, err := kit.Tell(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	fmt.Fprintln(os.Stdout, listener.Addr(), telling)
	for {
		client, err := listener.Accept()
		if err != nil {
			return nil // the listener was closed: the parent ended
		}
		go func() {
			defer client.Close()
			if err := tlsRelay(ctx, client, spec.Target, down, up); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "TLS relay:", err)
			}
		}()
	}
}

func tlsRelay(ctx context.Context, client net.Conn, target string, down, up *tls.Config) error {
	var request [8]byte
	if _, err := io.ReadFull(client, request[:]); err != nil || [8]byte(sslRequest) != request {
		return nil // a client without TLS, or one that left, is turned away
	}
	if _, err := client.Write([]byte{'S'}); err != nil {
		return err
	}
	near := tls.Server(client, down)
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(sslRequest); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil || answer[0] != 'S' {
		return errors.Join(errors.New("the target has no TLS"), err)
	}
	far := tls.Client(conn, up)
	err = doorrelay.Pair(ctx,
		func(context.Context) error { return doorrelay.Copy(far, near) },
		func(context.Context) error { return doorrelay.Copy(near, far) })
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
