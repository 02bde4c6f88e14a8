// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package syslog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/syslog"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testcert"
)

// rsyslog is a real server with the configuration of docs/sinks/syslog.md.
type rsyslog struct {
	dir, config, address string
	tls                  sink.TLS
	process              *proc.Process
}

// replacement is a line of the configuration that a test wants otherwise.
type replacement struct{ from, to string }

var (
	gnutls = replacement{`"ossl"`, `"gtls"`}
	// A sync for each record makes a test with thousands of them slow; a killed
	// process loses nothing without.
	noSync = replacement{`sync="on"`, `sync="off"`}
	// noTLS is a server of plain TCP.
	noTLS = []replacement{
		noSync,
		{`streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid"`, ""},
		{`defaultNetstreamDriver="ossl"`, `defaultNetstreamDriver="ptcp"`},
	}
)

// startRsyslog starts rsyslog, which ends with the test.
func startRsyslog(t *testing.T, replacements ...replacement) *rsyslog {
	t.Helper()
	s := &rsyslog{dir: t.TempDir()}
	s.config = filepath.Join(s.dir, "rsyslog.conf")
	port, err := proc.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.address = net.JoinHostPort(proc.Loopback, fmt.Sprint(port))
	s.certificates(t)

	page, err := os.ReadFile("../../../../docs/sinks/syslog.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```rsyslog\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/sinks/syslog.md has no configuration for rsyslog")
	}
	text := string(block[1])
	for _, r := range append(replacements,
		replacement{"/etc/rsyslog/doorward/", s.dir + "/"}, replacement{"/var/log/doorward/", s.dir + "/"},
		replacement{"192.0.2.10", proc.Loopback}, replacement{`port="6514"`, fmt.Sprintf(`port="%d"`, port)}) {
		if !strings.Contains(text, r.from) {
			t.Fatalf("docs/sinks/syslog.md no longer has %q", r.from)
		}
		text = strings.ReplaceAll(text, r.from, r.to)
	}
	text = fmt.Sprintf("global(workDirectory=%q)\n", s.dir) + text
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, `"ptcp"`) {
		s.tls = sink.TLS{Disabled: true}
	}
	s.start(t)
	t.Cleanup(func() { s.kill(t) })
	return s
}

func (s *rsyslog) certificates(t *testing.T) {
	t.Helper()
	ca, err := testcert.NewCA("syslog")
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Issue(testcert.Request{CommonName: "server", IPs: []net.IP{net.ParseIP(proc.Loopback)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := server.Write(s.dir, "server"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "ca.crt"), ca.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := ca.Issue(testcert.Request{CommonName: "client"})
	if err != nil {
		t.Fatal(err)
	}
	s.tls = sink.TLS{CA: string(ca.PEM), Certificate: client.CertPEM, Key: client.KeyPEM}
}

func (s *rsyslog) start(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath("rsyslogd")
	if err != nil {
		if path = "/usr/sbin/rsyslogd"; exec.Command(path, "-v").Run() != nil {
			t.Fatal("rsyslogd is missing: run hack/install-deps.sh sinks")
		}
	}
	pid := filepath.Join(s.dir, "rsyslog.pid")
	if err := os.Remove(pid); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	s.process, err = proc.Start(proc.Command{
		Path: path, Args: []string{"-n", "-f", s.config, "-i", pid}, Output: filepath.Join(s.dir, "output"),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = s.process.WaitReady(ctx, 10*time.Millisecond, func(ctx context.Context) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// kill ends the server at once.
func (s *rsyslog) kill(t *testing.T) { t.Helper(); s.end(t, syscall.SIGKILL) }

// end sends a signal and waits for the end.
func (s *rsyslog) end(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if s.process == nil {
		return
	}
	if err := s.process.Signal(signal); err != nil {
		t.Error(err)
	}
	<-s.process.Done()
	s.process = nil
}

// received are the lines of the server's file. Of a line that a killed server
// did not finish, the rest is missing; the next follows on the same line.
func (s *rsyslog) received(t *testing.T) [][]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, "records.jsonl"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
}

func (s *rsyslog) sink(t *testing.T) *syslog.Sink {
	t.Helper()
	out, err := syslog.New(syslog.Options{Address: s.address, TLS: s.tls, MaxMessageBytes: syslog.LargestMessageBytes})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
