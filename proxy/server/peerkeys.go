// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
	"time"
)

// maxRings is how many certificates are remembered whose keys may still be about.
const maxRings = 3

// ring is what the proxies of a Connection share, and nobody else has: it comes of
// the private key of their serving certificate.
type ring struct {
	certificate *tls.Certificate
	macs        sync.Pool // of hash.Hash, which tell the proxy that a key leads to
	proofs      []byte    // proves a peer to a peer
	own         byte      // the mark of this instance
}

func newRing(certificate *tls.Certificate, instance string) (*ring, error) {
	private, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("cannot derive the keys of peers: %w", err)
	}
	r := &ring{certificate: certificate}
	marks, err := hkdf.Key(sha256.New, private, nil, "doorward.dev/peers/marks", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("cannot derive the keys of peers: %w", err)
	}
	if r.proofs, err = hkdf.Key(sha256.New, private, nil, "doorward.dev/peers/proofs", sha256.Size); err != nil {
		return nil, fmt.Errorf("cannot derive the keys of peers: %w", err)
	}
	r.macs.New = func() any { return hmac.New(sha256.New, marks) }
	r.own = r.of(instance)
	return r, nil
}

// The kinds of what has a mark.
const (
	markInstance = 'i'
	markKey      = 'k'
)

// of is the mark of an instance.
func (r *ring) of(instance string) byte { return r.mark(markInstance, []byte(instance)) }

// leads says whether a key leads to the instance of a mark.
func (r *ring) leads(mark byte, key []byte) bool { return r.mark(markKey, key) == mark }

// mark is a number that only those in the ring can tell.
func (r *ring) mark(kind byte, data []byte) byte {
	mac, _ := r.macs.Get().(hash.Hash) // of the pool's making
	defer r.macs.Put(mac)
	mac.Reset()
	mac.Write([]byte{kind})
	mac.Write(data)
	var into [sha256.Size]byte
	return mac.Sum(into[:0])[0]
}

// proof shows that who asks is in the ring, on this one TLS session and for this
// one key.
func (r *ring) proof(state tls.ConnectionState, key []byte) ([]byte, error) {
	binding, err := state.ExportKeyingMaterial("EXPERIMENTAL doorward peer", nil, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("cannot bind a question to its TLS session: %w", err)
	}
	mac := hmac.New(sha256.New, r.proofs)
	mac.Write(binding)
	mac.Write(key)
	return mac.Sum(nil), nil
}

// rings follow the serving certificate. Keys that were made under a former one
// still lead to their proxy, as long as this process has seen it.
type rings struct {
	source   CertificateSource
	instance string

	mu  sync.Mutex // guards what follows
	all []*ring    // the newest first
	at  time.Time  // when the source was asked last
}

// ringFresh is how old the certificate may be that keys are drawn under: one takes
// hundreds of draws, and the source may look at files.
const ringFresh = time.Second

// newest is the ring that keys are drawn in. One of a moment ago will do: it is
// remembered when it is a former one.
func (r *rings) newest() (*ring, error) {
	r.mu.Lock()
	if len(r.all) > 0 && time.Since(r.at) < ringFresh {
		defer r.mu.Unlock()
		return r.all[0], nil
	}
	r.mu.Unlock()
	all, err := r.present()
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// present is the ring of the certificate that is shown now, and those before it.
func (r *rings) present() ([]*ring, error) {
	certificate, err := r.source.Certificate()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(certificate.Certificate) == 0 {
		return nil, errors.New("cannot derive the keys of peers: an empty serving certificate")
	}
	if len(r.all) == 0 || !bytes.Equal(r.all[0].certificate.Certificate[0], certificate.Certificate[0]) {
		next, err := newRing(certificate, r.instance)
		if err != nil {
			return nil, err
		}
		r.all = append([]*ring{next}, r.all[:min(len(r.all), maxRings-1)]...)
	}
	r.at = time.Now()
	return slices.Clone(r.all), nil
}
