// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
	// withheld, where set, is what Durable waits for.
	withheld chan struct{}
}

func (p *permit) Durable(context.Context) error { return nil }

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
func needServer(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(sftpServer); err != nil {
		t.Fatalf("no sftp-server: %v; run `apt-get install openssh-client openssh-sftp-server`", err)
	}
}

// socketPair is a connection with both its ends, each of which can be half closed.
func socketPair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := [2]*net.UnixConn{}
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		c, err := net.FileConn(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i], _ = c.(*net.UnixConn)
		t.Cleanup(func() { _ = c.Close() })
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
func startServer(t testing.TB, directory string, args ...string) io.ReadWriter {
	t.Helper()
	needServer(t)
	target, theirs := socketPair(t)
	f, err := theirs.File()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(sftpServer, args...)
	server.Dir, server.Stdin, server.Stdout, server.Stderr = directory, f, f, os.Stderr
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	_ = theirs.Close()
	t.Cleanup(func() {
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

// wire speaks raw packets.
type wire struct {
	t    *testing.T
	conn net.Conn
	// text collects what is sent with hold.
	next uint32
}

func (w *wire) send(packets ...[]byte) {
	w.t.Helper()
	var all []byte
	for _, p := range packets {
		all = append(all, p...)
	}
	if _, err := w.conn.Write(all); err != nil {
		w.t.Fatalf("send: %v", err)
	}
}

// packetIn is a received packet; body is what follows the id.
type packetIn struct {
	kind byte
	id   uint32
	body []byte
}

func (w *wire) receive() packetIn {
	w.t.Helper()
	p, err := w.tryReceive()
	if err != nil {
		w.t.Fatalf("receive: %v", err)
	}
	return p
}

func (w *wire) tryReceive() (packetIn, error) { return readPacket(w.conn) }

func readPacket(r io.Reader) (packetIn, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return packetIn{}, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-minPacket)
	_, err := io.ReadFull(r, body)
	return packetIn{kind: head[4], id: binary.BigEndian.Uint32(head[5:]), body: body}, err
}

// status is the code and message of a STATUS.
func (p packetIn) status() (Status, string) {
	if p.kind != typeStatus {
		return 0xffff, fmt.Sprintf("a packet of type %d", p.kind)
	}
	c := cursor{rest: p.body}
	code := Status(c.uint32())
	return code, string(c.bytes(1<<20, "message"))
}

// text is the first string of a HANDLE, DATA, or of a NAME's first name.
func (p packetIn) text() string {
	c := cursor{rest: p.body}
	if p.kind == typeName {
		c.uint32()
	}
	return string(c.bytes(1<<20, "text"))
}

func (w *wire) greet() map[string]string {
	w.t.Helper()
	w.send(initPacket(version))
	p := w.receive()
	if p.kind != typeVersion || p.id != version {
		w.t.Fatalf("type %d, version %d", p.kind, p.id)
	}
	found := map[string]string{}
	for c := (&cursor{rest: p.body}); len(c.rest) > 0; {
		name := string(c.bytes(1000, "name"))
		found[name] = string(c.bytes(1000, "version"))
	}
	return found
}

func initPacket(v uint32) []byte { return closePacket(appendPacket(nil, typeInit, v)) }

// packet makes one of any fields: string, []byte, uint32, uint64.
func packet(kind byte, id uint32, fields ...any) []byte {
	b := appendPacket(nil, kind, id)
	for _, field := range fields {
		switch v := field.(type) {
		case string:
			b = appendText(b, v)
		case []byte:
			b = appendText(b, string(v))
		case uint32:
			b = binary.BigEndian.AppendUint32(b, v)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, v)
		case byte:
			b = append(b, v)
		default:
			panic(fmt.Sprintf("a field of type %T", field))
		}
	}
	return closePacket(b)
}

const noAttrs = uint32(0)

// ask sends a request with an id of its own and waits for the one answer.
func (w *wire) ask(kind byte, fields ...any) packetIn {
	w.t.Helper()
	w.next++
	w.send(packet(kind, w.next, fields...))
	p := w.receive()
	if p.id != w.next {
		w.t.Fatalf("an answer to %d where %d was asked", p.id, w.next)
	}
	return p
}

// open opens a file and returns its handle.
func (w *wire) open(name string, flags uint32) string {
	w.t.Helper()
	p := w.ask(typeOpen, name, flags, noAttrs)
	if p.kind != typeHandle {
		code, message := p.status()
		w.t.Fatalf("open %q: %d %s", name, code, message)
	}
	return p.text()
}

func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// directory is a temporary one with no link on its way.
func directory(t testing.TB) string {
	t.Helper()
	d, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}
