// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// cut gives what it holds in pieces of random sizes, then its error, again and again.
type cut struct {
	random *rand.Rand
	rest   []byte
	most   int
	err    error
	reads  int
}

func (c *cut) Read(p []byte) (int, error) {
	c.reads++
	if len(c.rest) == 0 {
		return 0, c.err
	}
	n := copy(p, c.rest[:min(len(c.rest), 1+c.random.IntN(c.most))])
	c.rest = c.rest[n:]
	return n, nil
}

// TestReadsAhead: whatever the pieces, the same bytes come, then the error; and as long as much
// comes, in fewer reads than are asked for.
func TestReadsAhead(t *testing.T) {
	errGone := errors.New("gone")
	random := rand.New(rand.NewPCG(1, 2))
	content := make([]byte, 1<<20)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	for name, c := range map[string]struct {
		reason    string
		most, ask int
		fewer     bool
	}{
		"Bytes":   {reason: "an idle peer's bytes come one by one", most: 1, ask: 4096},
		"Pieces":  {reason: "pieces are sometimes more than is asked for", most: 6000, ask: 4096},
		"Packets": {reason: "a packet is asked for in two pieces", most: 32 << 10, ask: 4096, fewer: true},
		"Much":    {reason: "more waits than any buffer holds", most: 1 << 20, ask: 4096, fewer: true},
		"Single":  {reason: "who asks for single bytes gets them", most: 1 << 20, ask: 1, fewer: true},
	} {
		t.Run(name, func(t *testing.T) {
			from := &cut{random: random, rest: content, most: c.most, err: errGone}
			var a ahead
			var got bytes.Buffer
			asked := 0
			for {
				p := make([]byte, 1+random.IntN(c.ask))
				n, err := a.read(from, p)
				got.Write(p[:n])
				asked++
				if err != nil {
					if !errors.Is(err, errGone) {
						t.Errorf("%s: the error is %v", c.reason, err)
					}
					break
				}
			}
			if !bytes.Equal(got.Bytes(), content) {
				t.Errorf("%s: other bytes came, %d of %d", c.reason, got.Len(), len(content))
			}
			if c.fewer && from.reads > asked/2 {
				t.Errorf("%s: %d reads for %d", c.reason, from.reads, asked)
			}
		})
	}
}

// TestHoldsNoBufferWhileIdle: once less came than there was room for, the buffer is given back
// before the next read, which may wait for hours.
func TestHoldsNoBufferWhileIdle(t *testing.T) {
	var a ahead
	waits := readFunc(func([]byte) (int, error) {
		if a.buffer != nil {
			t.Error("a buffer is held while nothing comes")
		}
		return 0, io.EOF
	})
	p := make([]byte, 4096)
	for _, size := range []int{4096, 20000, 100} {
		sent := bytes.NewReader(make([]byte, size))
		for sent.Len() > 0 || len(a.rest) > 0 {
			if _, err := a.read(sent, p); err != nil {
				t.Fatal(err)
			}
		}
		if size == 20000 && a.buffer == nil {
			t.Fatal("nothing was read ahead")
		}
	}
	if _, err := a.read(waits, p); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
