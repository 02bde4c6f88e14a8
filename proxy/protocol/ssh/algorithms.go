// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"
)

// version is what both sides are told. Peers tell by how it begins that they may say what only
// OpenSSH understands (eow@openssh.com), and in which order SFTP's symlinks have their arguments;
// both are passed on as they come. It has no number, for it would be that of OpenSSH.
const version = openssh + "Doorward"

// openssh is how the version of those begins who understand OpenSSH's own words.
const openssh = "SSH-2.0-OpenSSH_"

// dropbear is how the version of its client begins.
const dropbear = "SSH-2.0-dropbear"

// callerConfig are the algorithms that clients may choose from: authenticated encryption, or
// CTR with a MAC over the ciphertext, and no SHA-1, no CBC, and no curves of NIST for the exchange.
// ChaCha20-Poly1305 is for who knows nothing else of it, as dropbear says by its version: stock clients
// prefer it, and Go has it without the processor's instructions, at twice the CPU time of the others.
func callerConfig(client string) ssh.Config {
	c := ssh.Config{
		KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, ssh.KeyExchangeDH16SHA512},
		Ciphers: []string{
			ssh.CipherAES128GCM, ssh.CipherAES256GCM,
			ssh.CipherAES128CTR, ssh.CipherAES192CTR, ssh.CipherAES256CTR,
		},
		MACs: []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM},
	}
	if strings.HasPrefix(client, dropbear) {
		c.Ciphers = append(c.Ciphers, ssh.CipherChaCha20Poly1305)
	}
	return c
}

// targetConfig is the same for targets, which may be older: what is sound is enough.
func targetConfig() ssh.Config {
	c := callerConfig(dropbear)
	c.KeyExchanges = append(c.KeyExchanges, ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
		ssh.KeyExchangeDHGEXSHA256, ssh.KeyExchangeDH14SHA256)
	c.MACs = append(c.MACs, ssh.HMACSHA256, ssh.HMACSHA512)
	return c
}

// signatureAlgorithms are those of keys, without SHA-1 and DSA.
var signatureAlgorithms = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
	ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
}

// certificateAlgorithms are those of host certificates.
var certificateAlgorithms = []string{
	ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
	ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
}

// errOrder says that a target's handshake could be tampered with unseen.
var errOrder = errors.New("the target does not know strict key exchange, and takes no AES-GCM with which that would not matter (CVE-2023-48795): update it, or have it take aes128-gcm@openssh.com")

// ordered refuses a connection out of whose handshake messages could be taken unseen: where the
// peer does not know strict key exchange, and GCM does not count them by itself.
func ordered(strict bool, a ssh.NegotiatedAlgorithms) error {
	gcm := func(cipher string) bool { return cipher == ssh.CipherAES128GCM || cipher == ssh.CipherAES256GCM }
	if strict || gcm(a.Read.Cipher) && gcm(a.Write.Cipher) {
		return nil
	}
	return errOrder
}
