// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sshhost

import (
	"crypto/rand"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/hostkey"
)

// Authority certifies host keys as the manager's does, for tests without a manager.
type Authority struct{ signer ssh.Signer }

// NewAuthority makes an Authority with a key of its own.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	return &Authority{signer: private(tb, Key(tb))}
}

// Key is a new host key, as a serving Secret has it.
func Key(tb testing.TB) []byte {
	tb.Helper()
	key, err := hostkey.New("test")
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// Certify signs a certificate of a host key, good for an hour, as a serving Secret has it.
func (a *Authority) Certify(tb testing.TB, key []byte, names ...string) []byte {
	tb.Helper()
	now := time.Now()
	certificate := &ssh.Certificate{
		Key: private(tb, key).PublicKey(), CertType: ssh.HostCert, KeyId: "test", ValidPrincipals: names,
		ValidAfter: uint64(now.Add(-time.Minute).Unix()), ValidBefore: uint64(now.Add(time.Hour).Unix()),
	}
	if err := certificate.SignCert(rand.Reader, a.signer); err != nil {
		tb.Fatal(err)
	}
	return ssh.MarshalAuthorizedKey(certificate)
}

// KnownHosts is the line by which clients trust the Authority for every host.
func (a *Authority) KnownHosts() string {
	return "@cert-authority * " + string(ssh.MarshalAuthorizedKey(a.signer.PublicKey()))
}

func private(tb testing.TB, key []byte) ssh.Signer {
	tb.Helper()
	signer, err := hostkey.ParsePrivate(key)
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}
