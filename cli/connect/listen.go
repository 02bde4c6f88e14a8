// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/connect/onward"
	"github.com/doorward/doorward/cli/endpoint"
)

// maxLocal bounds the connections of a local port.
const maxLocal = 256

// listen opens a port of this machine, or a socket in a folder.
func listen(ctx context.Context, p protocol, where string) (listener net.Listener, folder string, err error) {
	var config net.ListenConfig
	if path, ok := strings.CutPrefix(where, "unix:"); ok {
		if p.socket == "" {
			return nil, "", fmt.Errorf("invalid --listen: the protocol's clients know no sockets: want ADDRESS:PORT: %q", where)
		}
		if folder, err = filepath.Abs(path); err != nil {
			return nil, "", fmt.Errorf("invalid --listen: %q: %w", where, err)
		}
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, "", fmt.Errorf("no folder for the socket: %w", err)
		}
		info, err := os.Stat(folder)
		if err != nil {
			return nil, "", fmt.Errorf("no folder for the socket: %w", err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			return nil, "", fmt.Errorf("others may use the socket: folder %q has mode %#o: give one with mode 0700, or one that is not there yet", folder, info.Mode().Perm())
		}
		if listener, err = config.Listen(ctx, "unix", filepath.Join(folder, p.socket)); err != nil {
			return nil, "", fmt.Errorf("cannot listen: %w: remove the socket if nobody uses it", err)
		}
		return listener, folder, nil
	}
	host, _, err := net.SplitHostPort(where)
	if err != nil {
		return nil, "", fmt.Errorf("invalid --listen: want ADDRESS:PORT or unix:FOLDER: %q", where)
	}
	if address, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !address.IsLoopback()) {
		return nil, "", fmt.Errorf("invalid --listen: want an address of this machine alone, such as 127.0.0.1: others could use your token: %q", where)
	}
	if listener, err = config.Listen(ctx, "tcp", where); err != nil {
		return nil, "", fmt.Errorf("cannot listen: %w", err)
	}
	// A name can be made to mean anything.
	if at, ok := listener.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
		return nil, "", errors.Join(fmt.Errorf("invalid --listen: %q is no address of this machine alone", where), listener.Close())
	}
	return listener, "", nil
}

// serveLocal serves clients of this machine until ctx ends.
func (o *options) serveLocal(ctx context.Context, streams genericiooptions.IOStreams, p protocol, s *session, w endpoint.Way) error {
	host, _, err := net.SplitHostPort(s.endpoint)
	if err != nil {
		return fmt.Errorf("not an endpoint: %q: %w", s.endpoint, err)
	}
	password := rand.Text()
	local, err := p.local(s, onward.Way{Host: host, Address: w.Address, Token: o.token}, password)
	if err != nil {
		return err
	}
	listener, folder, err := listen(ctx, p, o.listen)
	if err != nil {
		return err
	}
	lines, err := p.typed(s, listener.Addr(), folder, password)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	fmt.Fprintf(streams.Out, "Connection %s/%s is at:\n\n", s.namespace, s.name)
	for _, line := range lines {
		fmt.Fprintf(streams.Out, "  %s\n", audit.Safe(line))
	}
	fmt.Fprintf(streams.Out, "\n%s Press Ctrl-C to end it.\n", p.until)
	return accept(ctx, streams, listener, local)
}

// pool are the authorities that sign the proxy's certificate.
func (s *session) pool() (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.authorities) {
		return nil, errors.New("no certificate in PEM among the authorities")
	}
	return roots, nil
}

// accept serves each connection in a goroutine, and waits for all at the end.
func accept(ctx context.Context, streams genericiooptions.IOStreams, listener net.Listener, local server) error {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	defer func() { _ = listener.Close() }()
	var group sync.WaitGroup
	defer group.Wait()
	var mu sync.Mutex // one line at a time
	free := make(chan struct{}, maxLocal)
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			if conn != nil {
				_ = conn.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot accept: %w", err)
		}
		select {
		case free <- struct{}{}:
		default:
			_ = conn.Close()
			continue
		}
		group.Go(func() {
			defer func() { <-free }()
			// The client knows; whoever looks at the terminal wants to know, too.
			if err := local.Serve(ctx, conn); err != nil && ctx.Err() == nil && !gone(err) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintln(streams.ErrOut, "session ended:", audit.Safe(strings.Join(strings.Fields(err.Error()), " ")))
			}
		})
	}
}

// gone says whether an error only says that the client has left.
func gone(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
