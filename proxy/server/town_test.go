// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/doorward/doorward/test/testcert"
)

// shown is a certificate that may be renewed.
type shown struct {
	current atomic.Pointer[tls.Certificate]
	asked   atomic.Int32
}

func (s *shown) Certificate() (*tls.Certificate, error) {
	s.asked.Add(1)
	return s.current.Load(), nil
}

func certificate(t *testing.T) *tls.Certificate {
	t.Helper()
	ca, err := testcert.NewCA("test")
	must(t, err)
	pair, err := ca.Issue(testcert.Request{CommonName: "localhost", DNSNames: []string{"localhost"}})
	must(t, err)
	made, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	must(t, err)
	return &made
}

// town is where several instances of one Connection live.
type town struct {
	t      *testing.T
	source *shown
	mu     sync.Mutex // guards all
	all    []Peer
	listed atomic.Int32
}

func newTown(t *testing.T) *town {
	t.Helper()
	n := &town{t: t, source: &shown{}}
	n.source.current.Store(certificate(t))
	return n
}

func (n *town) list(context.Context) ([]Peer, error) {
	n.listed.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.all), nil
}

// resident is one instance: what it was asked, and what it knows.
type resident struct {
	*Peers
	mu    sync.Mutex // guards asked and errs
	asked [][]byte
	errs  []error
	knows func(key []byte) bool
}

// settle starts an instance with a source of its own.
func (n *town) settle(instance string, source CertificateSource) *resident {
	n.t.Helper()
	listener, err := Listen(n.t.Context(), "127.0.0.1:0")
	must(n.t, err)
	r := &resident{knows: func([]byte) bool { return true }}
	address := listener.Addr().String()
	r.Peers = NewPeers(instance, address, source, n.list)
	n.mu.Lock()
	n.all = append(n.all, Peer{Instance: instance, Address: address})
	n.mu.Unlock()
	config := TLS(source)
	config.NextProtos = []string{"postgresql", peerProtocol}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				r.answer(tls.Server(conn, config))
			})
		}
	})
	n.t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return r
}

func (r *resident) answer(conn *tls.Conn) {
	err := conn.HandshakeContext(context.Background())
	if err == nil {
		err = r.Answer(context.Background(), conn, func(_ context.Context, key []byte) bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.asked = append(r.asked, key)
			return r.knows(key)
		})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

func (r *resident) heard() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

// keyOf draws a key that leads to an instance.
func keyOf(t *testing.T, p *Peers) []byte {
	t.Helper()
	key := make([]byte, 8)
	for range 1 << 16 {
		_, _ = rand.Read(key)
		if p.Leads(key) {
			return key
		}
	}
	t.Fatal("no key leads there")
	return nil
}
