// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
	"github.com/doorward/doorward/proxy/record/sink/webhook"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testcert"
)

// receiver is the example receiver of the documentation, as a process.
type receiver struct {
	path, dir string
	port      int
	ca        string
	certs     [2]string
	limit     int64
	secrets   []string
	process   *proc.Process
	transport *http.Transport
}

func newSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// buildReceiver returns the path of its executable.
func buildReceiver(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "webhookreceiver")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/doorward/doorward/test/sinks/webhookreceiver").CombinedOutput(); err != nil {
		t.Fatalf("cannot build the receiver: %v: %s", err, out)
	}
	return path
}

// startReceiver starts one that takes requests of at most limit bytes and ends
// with the test.
func startReceiver(t *testing.T, path string, limit int64) *receiver {
	t.Helper()
	r := &receiver{path: path, dir: t.TempDir(), limit: limit, secrets: []string{newSecret()}}
	authority, err := testcert.NewCA("doorward-webhook")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(testcert.Request{CommonName: "receiver", IPs: []net.IP{net.ParseIP(proc.Loopback)}})
	if err != nil {
		t.Fatal(err)
	}
	r.ca = string(authority.PEM)
	if r.certs[0], r.certs[1], err = pair.Write(r.dir, "server"); err != nil {
		t.Fatal(err)
	}
	if r.transport, err = (sink.TLS{CA: r.ca}).Transport(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.transport.CloseIdleConnections)
	if r.port, err = proc.FreePort(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.start(t)
	t.Cleanup(func() { r.kill(t) })
	return r
}

func (r *receiver) url() string {
	return "https://" + net.JoinHostPort(proc.Loopback, strconv.Itoa(r.port)) + "/records"
}

func (r *receiver) records() string { return filepath.Join(r.dir, "records.jsonl") }

// start starts the process, and waits until it answers.
func (r *receiver) start(t *testing.T) {
	t.Helper()
	secrets := filepath.Join(r.dir, "secrets")
	if err := os.WriteFile(secrets, []byte(strings.Join(r.secrets, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	r.process, err = proc.Start(proc.Command{
		Path: r.path,
		Args: []string{
			"-listen", net.JoinHostPort(proc.Loopback, strconv.Itoa(r.port)), "-cert", r.certs[0], "-key", r.certs[1],
			"-secrets", secrets, "-out", r.records(), "-limit", strconv.FormatInt(r.limit, 10),
		},
		Output: filepath.Join(r.dir, "receiver.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: r.transport}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = r.process.WaitReady(ctx, 10*time.Millisecond, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url(), http.NoBody)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("status %d to a request without signature", answer.StatusCode)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// kill ends the process as a crash does.
func (r *receiver) kill(t *testing.T) {
	t.Helper()
	if err := r.process.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	<-r.process.Done()
}

func (r *receiver) options() webhook.Options {
	return webhook.Options{URL: r.url(), Secrets: [][]byte{[]byte(r.secrets[0])}, TLS: sink.TLS{CA: r.ca}}
}

func (r *receiver) received(t *testing.T) [][]byte {
	t.Helper()
	content, err := os.ReadFile(r.records())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if len(content) == 0 {
		return nil
	}
	return bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
}

func (r *receiver) destination(change func(*webhook.Options)) sinktest.Destination {
	return sinktest.Destination{
		New: func(t *testing.T) sink.Sink {
			t.Helper()
			options := r.options()
			if change != nil {
				change(&options)
			}
			return open(t, options)
		},
		Received: func(t *testing.T) [][]byte {
			t.Helper()
			return r.received(t)
		},
		Break: func(t *testing.T) func() {
			t.Helper()
			r.kill(t)
			return func() { r.start(t) }
		},
	}
}

func open(t *testing.T, options webhook.Options) *webhook.Sink {
	t.Helper()
	s, err := webhook.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
