// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// hostKeys are the host keys that targets may show. There is no trust on first use: what
// they do not name is refused.
type hostKeys []hostKey

// hostKey is one line of known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
type hostKey struct {
	// hosts are patterns; empty for all targets.
	hosts     []string
	authority bool
	revoked   bool
	key       ssh.PublicKey
}

// minRSABits is the least size of an RSA key.
const minRSABits = 2048

func parseHostKeys(lines []string) (hostKeys, error) {
	var keys hostKeys
	trusted := false
	for i, line := range lines {
		key, err := parseHostKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		keys = append(keys, key)
		trusted = trusted || !key.revoked
	}
	if !trusted {
		return nil, errors.New("all lines revoke keys, so that no target could be trusted: name one that is good")
	}
	return keys, nil
}

const hostKeyShape = `want "[@cert-authority|@revoked] [hosts] <key type> <base64>"`

func parseHostKey(line string) (hostKey, error) {
	var h hostKey
	if strings.ContainsAny(line, "\r\n\x00") {
		return h, errors.New("one line holds several: give each its own entry")
	}
	fields := strings.Fields(line)
	if len(fields) > 0 && strings.HasPrefix(fields[0], "@") {
		switch fields[0] {
		case "@cert-authority":
			h.authority = true
		case "@revoked":
			h.revoked = true
		default:
			return h, fmt.Errorf("%s: the marker is unknown: %q", hostKeyShape, fields[0])
		}
		fields = fields[1:]
	}
	if len(fields) < 2 {
		return h, errors.New(hostKeyShape)
	}
	if !slices.Contains(keyTypes, fields[0]) {
		if strings.HasPrefix(fields[0], "|") {
			return h, errors.New("host names are hashed: write them out, or leave them out")
		}
		h.hosts, fields = strings.Split(fields[0], ","), fields[1:]
	}
	if len(fields) < 2 || !slices.Contains(keyTypes, fields[0]) {
		return h, fmt.Errorf("%s, where the key type is one of %s", hostKeyShape, strings.Join(keyTypes, ", "))
	}
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(fields[0] + " " + fields[1]))
	if err != nil || len(rest) > 0 || key.Type() != fields[0] {
		return h, fmt.Errorf("%s: the key cannot be read", hostKeyShape)
	}
	if err := strong(key); err != nil {
		return h, err
	}
	h.key = key
	return h, nil
}

// keyTypes are those of host keys and of authorities. DSA and security keys are none of them.
var keyTypes = []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA}

// strong refuses keys that are too short to prove anything.
func strong(key ssh.PublicKey) error {
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return fmt.Errorf("a key of type %s is not taken", key.Type())
	}
	if public, ok := crypto.CryptoPublicKey().(*rsa.PublicKey); ok && public.N.BitLen() < minRSABits {
		return fmt.Errorf("an RSA key needs at least %d bits, and has %d", minRSABits, public.N.BitLen())
	}
	return nil
}

// about says whether a line is about a target.
func (h *hostKey) about(host string, port int32) bool {
	if len(h.hosts) == 0 {
		return true
	}
	found := false
	for _, pattern := range h.hosts {
		pattern, negated := strings.CutPrefix(strings.ToLower(pattern), "!")
		if !matchesHost(pattern, strings.ToLower(host), port) {
			continue
		}
		if negated {
			return false
		}
		found = true
	}
	return found
}

// matchesHost is as OpenSSH has it: a name alone is for port 22, [name]:port for others.
func matchesHost(pattern, host string, port int32) bool {
	name := host
	if port != 22 {
		name = "[" + host + "]:" + strconv.Itoa(int(port))
	}
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == name
	}
	// path.Match has * and ? mean the same where there is no slash; brackets are plain here.
	matched, err := path.Match(strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`).Replace(pattern), name)
	return err == nil && matched
}

// Why a target's host key is not trusted.
var errHostKey = errors.New("the host key of the target is not trusted")

// verify checks what a target shows: a key that is named, or a certificate of an authority
// that is named, for this host.
func (k hostKeys) verify(host string, port int32, shown ssh.PublicKey) error {
	certificate, certified := shown.(*ssh.Certificate)
	plain := shown
	if certified {
		plain = certificate.Key
	}
	if err := strong(plain); err != nil {
		return fmt.Errorf("%w: %w", errHostKey, err)
	}
	revoked := func(key ssh.PublicKey) bool {
		return slices.ContainsFunc(k, func(h hostKey) bool { return h.revoked && h.about(host, port) && same(h.key, key) })
	}
	if revoked(plain) || certified && revoked(certificate.SignatureKey) {
		return fmt.Errorf("%w: %s is revoked", errHostKey, ssh.FingerprintSHA256(plain))
	}
	if !certified {
		if slices.ContainsFunc(k, func(h hostKey) bool {
			return !h.revoked && !h.authority && h.about(host, port) && same(h.key, plain)
		}) {
			return nil
		}
		return fmt.Errorf("%w: %s %s is not among them", errHostKey, plain.Type(), ssh.FingerprintSHA256(plain))
	}
	// The library takes a certificate without principals for one of every host.
	if len(certificate.ValidPrincipals) == 0 {
		return fmt.Errorf("%w: its certificate names no host", errHostKey)
	}
	if !slices.Contains(signatureAlgorithms, certificate.Signature.Format) {
		return fmt.Errorf("%w: its certificate is signed with %q", errHostKey, certificate.Signature.Format)
	}
	checker := &ssh.CertChecker{IsHostAuthority: func(authority ssh.PublicKey, _ string) bool {
		return slices.ContainsFunc(k, func(h hostKey) bool {
			return !h.revoked && h.authority && h.about(host, port) && same(h.key, authority)
		})
	}}
	if err := checker.CheckHostKey(net.JoinHostPort(host, strconv.Itoa(int(port))), nil, certificate); err != nil {
		return fmt.Errorf("%w: its certificate: %w", errHostKey, err)
	}
	return nil
}

func same(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// algorithms are those with which the target can show what is trusted, so that it shows that
// and no other key that it has.
func (k hostKeys) algorithms(host string, port int32) []string {
	var certificates, plain []string
	for _, h := range k {
		switch {
		case h.revoked || !h.about(host, port):
		case h.authority:
			certificates = certificateAlgorithms
		case h.key.Type() == ssh.KeyAlgoRSA:
			plain = append(plain, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			plain = append(plain, h.key.Type())
		}
	}
	slices.Sort(plain)
	return slices.Concat(certificates, slices.Compact(plain))
}
