// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

// requestSeeds are requests of every type.
func requestSeeds() [][]byte {
	return [][]byte{
		packet(typeOpen, 1, "a", uint32(flagRead|flagWrite|flagCreate), uint32(0xf), uint64(1), uint32(2), uint32(3), uint32(0o4755), uint32(5), uint32(6)),
		packet(typeClose, 2, "h"), packet(typeLstat, 3, "a"), packet(typeFstat, 4, "h"), packet(typeSetstat, 5, "a", uint32(attrSize), uint64(9)),
		packet(typeFsetstat, 6, "h", noAttrs), packet(typeOpendir, 7, "."), packet(typeReaddir, 8, "h"), packet(typeRemove, 9, "a"),
		packet(typeMkdir, 10, "d/", noAttrs), packet(typeRmdir, 11, "d"), packet(typeRealpath, 12, ""), packet(typeStat, 13, "../a"),
		packet(typeRename, 14, "a", "b"), packet(typeReadlink, 15, "l"), packet(typeSymlink, 16, "../to", "l"),
		packet(typeExtended, 17, "posix-rename@openssh.com", "a", "b"), packet(typeExtended, 18, "statvfs@openssh.com", "a"),
		packet(typeExtended, 19, "fstatvfs@openssh.com", "h"), packet(typeExtended, 20, "hardlink@openssh.com", "a", "b"),
		packet(typeExtended, 21, "fsync@openssh.com", "h"), packet(typeExtended, 22, "lsetstat@openssh.com", "a", uint32(attrOwner), uint32(0), uint32(0)),
		packet(typeExtended, 23, "limits@openssh.com"), packet(typeExtended, 24, "expand-path@openssh.com", "~root/a"),
		packet(typeExtended, 25, "copy-data", "h", uint64(0), uint64(1), "i", uint64(2)), packet(typeExtended, 26, "home-directory", "me"),
		packet(typeExtended, 27, "users-groups-by-id@openssh.com", "\x00\x00\x00\x01", ""), packet(typeExtended, 28, "x@example.com"), packet(99, 29),
		packet(typeRead, 30, "h", uint64(0), uint32(10)), packet(typeWrite, 31, "h", uint64(0), "data"),
	}
}

// FuzzRequest: whatever is decoded comes to an operation that names its paths, absolute.
func FuzzRequest(f *testing.F) {
	for _, seed := range requestSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRequest(b)
		if err != nil {
			if r.name() == "" {
				t.Error("a request without a name")
			}
			return
		}
		op := r.operation(r.lexical("/home/user"))
		if op.Kind == "" || op.Statement == "" {
			t.Errorf("%+v comes to %+v", r, op)
		}
		isHandle := r.kind == typeClose || r.kind == typeFstat || r.kind == typeReaddir || r.is(extFstatvfs) || r.is(extFsync)
		if isHandle {
			return // part of another operation
		}
		if !slices.ContainsFunc(op.Accesses, func(a policy.Access) bool { return !a.Indirect }) {
			t.Errorf("%s needs no Allow", op.Statement)
		}
		for _, a := range op.Accesses {
			if r.pathCount() > 0 && !strings.HasPrefix(a.Resource, "/") && !r.is(extExpandPath) || strings.IndexByte(a.Resource, 0) >= 0 {
				t.Errorf("%s: %q is not absolute", op.Statement, a.Resource)
			}
		}
	})
}

// FuzzTransfer: the head of a READ or WRITE is within its packet and says all of it.
func FuzzTransfer(f *testing.F) {
	for _, seed := range requestSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		head, err := decodeHead(b)
		if err != nil {
			return
		}
		tr, err := decodeTransfer(head, b[:min(len(b), head.size, maxTransferHead)])
		if err == nil && (tr.size > head.size || head.kind == typeWrite && tr.size+int(tr.length) != head.size || len(tr.handle) > maxHandle) {
			t.Errorf("%+v of a packet of %d", tr, head.size)
		}
	})
}

// FuzzVersion: what is announced to the client is what is understood.
func FuzzVersion(f *testing.F) {
	f.Add(initPacket(3))
	f.Add(versionPacket(extensions[:]))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, known, err := decodeVersion(b)
		if err != nil {
			return
		}
		v, again, err := decodeVersion(versionPacket(known))
		if err != nil || v != version || !slices.Equal(known, again) {
			t.Errorf("%v comes back as %v, %v", known, again, err)
		}
	})
}

// FuzzReply: a path that the relay goes by is absolute.
func FuzzReply(f *testing.F) {
	f.Add(packet(typeName, 1, uint32(1), "/a/../b", "", noAttrs))
	f.Add(packet(typeStatus, 1, uint32(2), "no", "en"))
	f.Add(packet(typeStatus, 1, uint32(2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeReply(b)
		if err == nil && r.status == StatusOK && !strings.HasPrefix(r.path, "/") {
			t.Errorf("%+v", r)
		}
	})
}

// memory is a side in memory: reads wait until gate is closed, writes are kept.
type memory struct {
	in   io.Reader
	gate <-chan struct{}
	out  bytes.Buffer
	half func()
}

func (m *memory) Read(b []byte) (int, error) {
	if m.gate != nil {
		<-m.gate
	}
	return m.in.Read(b)
}
func (m *memory) Write(b []byte) (int, error) { return m.out.Write(b) }
func (m *memory) CloseWrite() error           { m.half(); return nil }

// FuzzSession: any bytes of a client, and then any of a target, end a session in which
// every operation is done, and after which what was sent to either is whole packets.
func FuzzSession(f *testing.F) {
	greeting := slices.Concat(packet(typeVersion, 3), packet(typeName, 1, uint32(1), "/home/user", "", noAttrs))
	f.Add(bytes.Join(requestSeeds(), nil), slices.Concat(packet(typeHandle, 1, "h"), packet(typeAttrs, 3, noAttrs), packet(typeStatus, 9, uint32(0), "", "")))
	f.Add(packet(typeOpen, 1, "a", uint32(1), noAttrs), packet(typeData, 1, "x"))
	f.Add([]byte{0, 0}, []byte{0, 0})
	f.Fuzz(func(t *testing.T, fromClient, fromTarget []byte) {
		forwarded := make(chan struct{})
		free := sync.OnceFunc(func() { close(forwarded) })
		client := &memory{in: io.MultiReader(bytes.NewReader(initPacket(3)), bytes.NewReader(fromClient))}
		// The target speaks when all of the client's requests are forwarded.
		target := &memory{in: io.MultiReader(bytes.NewReader(greeting), &memory{in: bytes.NewReader(fromTarget), gate: forwarded}), half: free}
		r := newRoad(script{Deny: []string{"* */a"}})
		config := configOf(r)
		config.MaxOutstanding = 1 << 20
		config.Interrupt = free
		err := Run(t.Context(), client, target, config)
		if r.unfinished() != 0 {
			t.Errorf("%d operations are not done after %v", r.unfinished(), err)
		}
		if err != nil && !errors.Is(err, ErrClient) && !errors.Is(err, ErrTarget) && !errors.Is(err, errTargetLeft) {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestCutAnywhere: the same bytes, cut anywhere, come to the same.
func TestCutAnywhere(t *testing.T) {
	dir := directory(t)
	whole := content(300_000)
	writeFile(t, dir+"/file", string(whole))
	var want string
	for _, size := range []int{1 << 20, 1, 3, 5, 8, 9, 13, 127, 128, 129, 1000, 32768, 65535} {
		r := newRoad(script{Deny: []string{"remove *", "write */denied"}})
		s := startRelay(t, cut{startServer(t, dir), size}, configOf(r))
		var got strings.Builder
		note := func(n int) {
			for range n {
				p := s.receive()
				if p.kind == typeAttrs {
					p.body = nil // it holds times
				}
				got.Write(packet(p.kind, p.id, p.body))
			}
		}
		s.send(initPacket(3))
		note(1)
		s.send(packet(typeOpen, 1, "file", uint32(flagRead), noAttrs), packet(typeOpen, 2, "copy", uint32(flagWrite|flagCreate|flagTruncate), noAttrs))
		note(2)
		h := []string{"\x00\x00\x00\x00", "\x00\x00\x00\x01"}
		go func() {
			_, _ = s.conn.Write(slices.Concat(
				packet(typeRead, 3, h[0], uint64(0), uint32(200_000)), packet(typeRemove, 4, "file"), packet(typeRead, 5, h[0], uint64(200_000), uint32(200_000)),
				packet(typeWrite, 6, h[1], uint64(0), whole[:250_000]), packet(typeStat, 7, "file"), packet(typeWrite, 8, h[0], uint64(0), whole[:100_000]),
				packet(typeWrite, 9, h[1], uint64(250_000), whole[250_000:]), packet(77, 10, whole[:100]), packet(typeExtended, 11, "limits@openssh.com"),
				packet(typeOpen, 12, "denied", uint32(flagWrite), noAttrs), packet(typeClose, 13, h[0]), packet(typeClose, 14, h[1]), packet(typeRealpath, 15, "../x/."),
			))
		}()
		note(13)
		s.leave(t)
		var record []string // denials and results are from two goroutines
		for _, d := range r.all() {
			record = append(record, d.Operation.Statement+d.Denied+d.Result.Outcome+d.Result.Read.Digest+d.Result.Written.Digest)
		}
		slices.Sort(record)
		got.WriteString(strings.Join(record, "\n"))
		if want == "" {
			want = got.String()
			if !strings.Contains(want, digestOf(whole)) {
				t.Error("no digest")
			}
		}
		if got.String() != want {
			t.Errorf("with reads of %d bytes, a session comes to something else", size)
		}
	}
}

// cut is a side of which a read returns a few bytes only.
type cut struct {
	io.ReadWriter
	size int
}

func (c cut) Read(b []byte) (int, error) { return c.ReadWriter.Read(b[:min(len(b), c.size)]) }
func (c cut) CloseWrite() error {
	return c.ReadWriter.(interface{ CloseWrite() error }).CloseWrite()
}
