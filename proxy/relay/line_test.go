// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/relay"
)

// counting counts the writes of a connection, and fails those it is told to.
type counting struct {
	net.Conn
	writes [][]byte
	err    error
}

func (c *counting) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	c.writes = append(c.writes, bytes.Clone(p))
	return len(p), nil
}

func TestLineTellsBeforeItWaits(t *testing.T) {
	near, far := tcpPair(t)
	line := relay.NewLine(near)
	told := make(chan struct{}, 16)
	line.BeforeWait(func() error { told <- struct{}{}; return nil })
	read := make(chan string)
	go func() {
		defer close(read)
		p := make([]byte, 8<<10)
		for {
			n, err := line.Read(p)
			if err != nil {
				return
			}
			read <- string(p[:n])
		}
	}()
	long := string(bytes.Repeat([]byte("x"), 4<<10)) // after it more is likely
	for _, text := range []string{"a", long, "b", long, "c"} {
		<-told // the other side sends only after it was told: nothing is missed
		if _, err := io.WriteString(far, text); err != nil {
			t.Fatal(err)
		}
		for got := ""; got != text; {
			part, ok := <-read
			if !ok {
				t.Fatal("the read failed")
			}
			if got += part; len(got) > len(text) {
				t.Fatalf("read %d bytes, want %d", len(got), len(text))
			}
			for len(got) < len(text) && len(told) > 0 {
				<-told // the text came in pieces
			}
		}
	}
	far.Close()
	for range read {
		t.Error("read something after the end")
	}
}

func TestLineEndsAsItsConnection(t *testing.T) {
	for name, ready := range map[string]int{"Little": 1, "Much": 4 << 10} {
		t.Run(name, func(t *testing.T) {
			near, far := tcpPair(t)
			line := relay.NewLine(near)
			if _, err := far.Write(make([]byte, ready)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(line, make([]byte, ready)); err != nil {
				t.Fatal(err)
			}
			if err := line.SetReadDeadline(time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
			_, err := line.Read(make([]byte, 8<<10))
			var network net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &network) || !network.Timeout() {
				t.Errorf("Read = %v, want a deadline that TLS can go on after", err)
			}
			if err := line.SetReadDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			line.BeforeWait(func() error { return errBoom })
			if _, err := line.Read(make([]byte, 1)); !errors.Is(err, errBoom) {
				t.Errorf("Read = %v, want the error of what it told", err)
			}
			line.BeforeWait(nil)
			far.Close()
			if _, err := line.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("Read = %v, want %v", err, io.EOF)
			}
		})
	}
}

func TestLineJoins(t *testing.T) {
	conn := &counting{}
	line := relay.NewLine(conn)
	write := func(text string) {
		t.Helper()
		if n, err := io.WriteString(line, text); n != len(text) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	write("a")
	line.Join()
	write("b")
	write("c")
	if got := len(conn.writes); got != 1 {
		t.Errorf("%d writes before Part, want 1", got)
	}
	if err := line.Part(); err != nil {
		t.Fatal(err)
	}
	write("d")
	if got := string(bytes.Join(conn.writes, []byte("|"))); got != "a|bc|d" {
		t.Errorf("written: %q, want %q", got, "a|bc|d")
	}
	conn.writes = nil
	line.Join()
	var want []byte
	for i := range 5 {
		part := bytes.Repeat([]byte{byte('0' + i)}, relay.BufferSize/2+1)
		want = append(want, part...)
		write(string(part))
	}
	write(string(make([]byte, relay.BufferSize+1)))
	if err := line.Part(); err != nil {
		t.Fatal(err)
	}
	want = append(want, make([]byte, relay.BufferSize+1)...)
	if !bytes.Equal(bytes.Join(conn.writes, nil), want) {
		t.Error("what is larger than a buffer was not written in order")
	}
}

// What somebody was told is written and is not: nothing may follow it.
func TestLineStaysBroken(t *testing.T) {
	conn := &counting{err: errBoom}
	line := relay.NewLine(conn)
	line.Join()
	if _, err := line.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if err := line.Part(); !errors.Is(err, errBoom) {
		t.Errorf("Part = %v, want %v", err, errBoom)
	}
	conn.err = nil
	if _, err := line.Write([]byte("b")); !errors.Is(err, errBoom) || len(conn.writes) > 0 {
		t.Errorf("Write = %v with %d writes, want %v and none", err, len(conn.writes), errBoom)
	}
}

func TestLineOf(t *testing.T) {
	line := relay.NewLine(&counting{})
	if got := relay.LineOf(tls.Client(line, &tls.Config{ServerName: "a"})); got != line {
		t.Errorf("LineOf(TLS) = %v, want the line", got)
	}
	if got := relay.LineOf(&counting{}); got != nil {
		t.Errorf("LineOf = %v, want none", got)
	}
	near, _ := tcpPair(t)
	if err := relay.CloseWrite(relay.NewLine(near)); err != nil {
		t.Errorf("CloseWrite = %v", err)
	}
}
