// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/policy"
)

// asRelay, where set, has the test binary relay between its standard streams and a real
// sftp-server, so that `sftp -D` can run it: its value is the JSON of a script.
const asRelay = "DOORWARD_TEST_SFTP_RELAY"

func TestMain(m *testing.M) {
	if script := os.Getenv(asRelay); script != "" {
		if err := relayProcess(script); err != nil {
			fmt.Fprintln(os.Stderr, "relay:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// script is what a relay's road does.
type script struct {
	// Deny are the accesses that are refused, "action glob".
	Deny []string
	// Resolve has the target asked for every path.
	Resolve bool
	// Log is the file to which each operation is appended as JSON when it is done or denied.
	Log string
}

// done is an operation with what came of it.
type done struct {
	Operation Operation
	Denied    string
	Result    Result
}

// road is a Road that follows a script and remembers.
type road struct {
	script script
	// decide, where set, is asked first.
	decide func(ctx context.Context, op *Operation) error
	// durable, where set, is what the record of each operation waits for, and take what
	// counts.
	durable chan struct{}
	take    func(names, bytes int64) error

	mu    sync.Mutex
	done  []done
	open  int
	after chan struct{} // written to when an operation is done or denied
}

func newRoad(s script) *road { return &road{script: s, after: make(chan struct{}, 1)} }

func (r *road) Decide(ctx context.Context, op *Operation) (Permit, error) {
	if r.decide != nil {
		if err := r.decide(ctx, op); err != nil {
			r.note(done{Operation: *op, Denied: err.Error()})
			return nil, err
		}
	}
	if op.Refuse != nil {
		r.note(done{Operation: *op, Denied: op.Refuse.Message})
		return nil, &Denied{Message: op.Refuse.Message}
	}
	for _, access := range op.Accesses {
		for _, rule := range r.script.Deny {
			action, glob, _ := strings.Cut(rule, " ")
			if policy.Match(action, access.Action) && policy.Match(glob, access.Resource) {
				message := "you may not " + access.Action + " " + access.Resource + "; ask for it"
				r.note(done{Operation: *op, Denied: message})
				return nil, &Denied{Message: message}
			}
		}
	}
	r.mu.Lock()
	r.open++
	r.mu.Unlock()
	return &permit{road: r, op: *op}, nil
}

func (r *road) note(d done) {
	r.mu.Lock()
	r.done = append(r.done, d)
	r.mu.Unlock()
	select {
	case r.after <- struct{}{}:
	default:
	}
	if r.script.Log != "" {
		line, err := json.Marshal(d)
		if err == nil {
			var f *os.File
			if f, err = os.OpenFile(r.script.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
				_, err = f.Write(append(line, '\n'))
				err = errors.Join(err, f.Close())
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "log:", err)
		}
	}
}

// all is what is done so far.
func (r *road) all() []done {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]done(nil), r.done...)
}

// unfinished is the number of operations that were let through and are not done.
func (r *road) unfinished() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

type permit struct {
	road *road
	op   Operation
	once sync.Once
}

func (p *permit) Durable(context.Context) error {
	if p.road.durable != nil {
		<-p.road.durable
	}
	return nil
}

func (p *permit) Take(names, bytes int64) error {
	if p.road.take == nil {
		return nil
	}
	return p.road.take(names, bytes)
}

func (p *permit) Done(result Result) {
	twice := true
	p.once.Do(func() { twice = false })
	if twice {
		panic("done twice: " + p.op.Statement)
	}
	p.road.mu.Lock()
	p.road.open--
	p.road.mu.Unlock()
	p.road.note(done{Operation: p.op, Result: result})
}

// sides are a reader and a writer, each closed by itself.
type sides struct {
	io.ReadCloser
	w io.WriteCloser
}

func (s sides) Write(b []byte) (int, error) { return s.w.Write(b) }
func (s sides) CloseWrite() error           { return s.w.Close() }
func (s sides) Close() error                { return errors.Join(s.w.Close(), s.ReadCloser.Close()) }

// relayProcess is the relay as a process of its own.
func relayProcess(text string) error {
	var s script
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	server := exec.Command(sftpServer)
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		return err
	}
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	err = Run(context.Background(), sides{os.Stdin, os.Stdout}, sides{out, in}, configOf(newRoad(s)))
	_ = in.Close()
	return errors.Join(err, server.Wait())
}

func configOf(r *road) Config {
	config := Config{Road: r}
	if r.script.Resolve {
		config.Resolve = func(*Operation) bool { return true }
	}
	return config
}

const sftpServer = "/usr/lib/openssh/sftp-server"

// needServer fails where OpenSSH's server is not installed.
func needServer(tb testing.TB) {
	tb.Helper()
	if _, err := os.Stat(sftpServer); err != nil {
		tb.Fatalf("no sftp-server: %v; run `apt-get install openssh-client openssh-sftp-server`", err)
	}
}

// socketPair is a connection with both its ends, each of which can be half closed.
func socketPair(tb testing.TB) (a, b *net.UnixConn) {
	tb.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	ends := [2]*net.UnixConn{}
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		c, err := net.FileConn(f)
		_ = f.Close()
		if err != nil {
			tb.Fatal(err)
		}
		ends[i], _ = c.(*net.UnixConn)
		tb.Cleanup(func() { _ = c.Close() })
	}
	return ends[0], ends[1]
}

// started is a relay at work in the test, with a client of raw packets.
type started struct {
	*wire
	road   *road
	ended  chan error
	cancel context.CancelCauseFunc
}

// patience bounds what a test waits for.
const patience = 2 * time.Minute

// startRelay relays between a raw client and a target.
func startRelay(t *testing.T, target io.ReadWriter, config Config) *started {
	t.Helper()
	client, conn := socketPair(t)
	near := io.ReadWriteCloser(conn)
	if c, ok := target.(cut); ok { // the client's side too
		near = struct {
			io.ReadWriter
			io.Closer
		}{cut{conn, c.size}, conn}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	r, _ := config.Road.(*road)
	s := &started{wire: &wire{t: t, conn: client}, road: r, ended: make(chan error, 1), cancel: cancel}
	_ = client.SetDeadline(time.Now().Add(patience))
	go func() {
		s.ended <- Run(ctx, near, target, config)
		_ = near.Close()
	}()
	t.Cleanup(func() {
		cancel(errors.New("the test is over"))
		_ = client.Close()
	})
	return s
}

// end waits for the relay's end.
func (s *started) end() error {
	s.t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(patience):
		s.t.Fatal("the relay does not end")
		return nil
	}
}

// startServer starts OpenSSH's sftp-server in a directory and returns its side.
func startServer(tb testing.TB, directory string, args ...string) io.ReadWriter {
	tb.Helper()
	needServer(tb)
	target, theirs := socketPair(tb)
	f, err := theirs.File()
	if err != nil {
		tb.Fatal(err)
	}
	server := exec.Command(sftpServer, args...)
	server.Dir, server.Stdin, server.Stdout, server.Stderr = directory, f, f, os.Stderr
	if err := server.Start(); err != nil {
		tb.Fatal(err)
	}
	_ = f.Close()
	_ = theirs.Close()
	tb.Cleanup(func() {
		_ = target.Close()
		_ = server.Wait()
	})
	return target
}

// startSession is a relay before a real server, its greeting done.
func startSession(t *testing.T, directory string, r *road) *started {
	t.Helper()
	s := startRelay(t, startServer(t, directory), configOf(r))
	s.greet()
	return s
}
