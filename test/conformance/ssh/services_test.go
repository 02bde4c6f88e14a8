// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/doorward/doorward/test/proc"
)

// services are what forwarded connections lead to.
type services struct {
	web *http.Server
	// The ports of HTTP, of what digests all that comes, and of a display.
	listeners [3]net.Listener
	serving   sync.WaitGroup
}

// serve starts them.
func serve(ctx context.Context) (*services, error) {
	s := &services{}
	var config net.ListenConfig
	for i := range s.listeners {
		var err error
		if s.listeners[i], err = config.Listen(ctx, "tcp", net.JoinHostPort(proc.Loopback, "0")); err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	mux.HandleFunc("GET /data", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, shared.file("data")) })
	mux.HandleFunc("POST /digest", func(w http.ResponseWriter, r *http.Request) { digest(w, r.Body) })
	s.web = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	s.serving.Go(func() { _ = s.web.Serve(s.listeners[0]) })
	s.each(s.listeners[1], func(conn net.Conn) { digest(conn, conn) })
	s.each(s.listeners[2], display)
	return s, nil
}

// each serves connections until the listener closes. They end with their clients.
func (s *services) each(listener net.Listener, handle func(net.Conn)) {
	s.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.serving.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
}

func (s *services) stop() error {
	var errs []error
	if s.web != nil {
		errs = append(errs, s.web.Close())
	}
	for _, listener := range s.listeners {
		if listener == nil {
			continue
		}
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.serving.Wait()
	return errors.Join(errs...)
}

// env names the ports.
func (s *services) env() []string {
	port := func(i int) int {
		_, text, _ := net.SplitHostPort(s.listeners[i].Addr().String())
		n, _ := strconv.Atoi(text)
		return n
	}
	return []string{
		fmt.Sprintf("HTTP=%d", port(0)), fmt.Sprintf("DIGEST=%d", port(1)),
		fmt.Sprintf("DISPLAY=%s:%d", proc.Loopback, port(2)-firstDisplay), "COOKIE=" + cookie,
	}
}

// digest answers, when all has come, with how much it was.
func digest(w io.Writer, r io.Reader) {
	hash := sha256.New()
	n, err := io.Copy(hash, r)
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintf(w, "%d %x\n", n, hash.Sum(nil))
}

const (
	// firstDisplay is the port of display 0.
	firstDisplay = 6000
	cookie       = "00112233445566778899aabbccddeeff"
	cookieName   = "MIT-MAGIC-COOKIE-1"
)

// display takes the first message of an X11 client, little endian, and refuses it, in words that
// say whether it had the cookie (X Window System Protocol, chapter 8).
func display(conn net.Conn) {
	header := make([]byte, 12)
	if _, err := io.ReadFull(conn, header); err != nil || header[0] != 'l' {
		return
	}
	padded := func(n uint16) int { return (int(n) + 3) &^ 3 }
	name, data := binary.LittleEndian.Uint16(header[6:]), binary.LittleEndian.Uint16(header[8:])
	rest := make([]byte, padded(name)+padded(data))
	if _, err := io.ReadFull(conn, rest); err != nil {
		return
	}
	reason := "another cookie  "
	want, _ := hex.DecodeString(cookie)
	if string(rest[:name]) == cookieName && bytes.Equal(rest[padded(name):padded(name)+int(data)], want) {
		reason = "the right cookie"
	}
	answer := append([]byte{0, byte(len(reason)), 11, 0, 0, 0, byte(len(reason) / 4), 0}, reason...)
	_, _ = conn.Write(answer)
}
