// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/identity/gateway"
)

// subjectTypes are the token types that a caller may come with: all are JWTs here.
var subjectTypes = []string{typeIDToken, typeAccessToken, typeJWT}

// exchange is RFC 8693: a token of an issuer, or of this portal, for a gateway token, a
// client certificate or an SSH user certificate. Whoever has the token needs nothing else:
// no client is asked for.
func (p *Portal) exchange(ctx context.Context, form url.Values, address string) (*issued, error) {
	as, err := checkExchange(form)
	if err != nil {
		return nil, err
	}
	found, err := p.prove(ctx, "subject_token", form.Get("subject_token"))
	if err != nil {
		return nil, err
	}
	if form.Has("actor_token") {
		actor, err := p.prove(ctx, "actor_token", form.Get("actor_token"))
		if err != nil {
			return nil, faultOf(err).about(found)
		}
		acted, err := delegate(found, actor)
		if err != nil {
			return nil, faultOf(err).about(found)
		}
		found = acted
	}
	return p.issue(ctx, found, wanted{as: as, address: address})
}

// checkExchange is about the parameters of RFC 8693, section 2.1, and returns the form that
// is asked for.
func checkExchange(values url.Values) (*credentialForm, error) {
	switch {
	case values.Get("subject_token") == "":
		return nil, refuse(codeInvalidRequest, "subject_token is missing: want a JWT of an IdentityProvider that has spec.login")
	case !slices.Contains(subjectTypes, values.Get("subject_token_type")):
		return nil, refuse(codeInvalidRequest, "invalid subject_token_type: want one of %s", strings.Join(subjectTypes, ", "))
	case values.Has("actor_token") != values.Has("actor_token_type"), values.Has("actor_token") && !slices.Contains(subjectTypes, values.Get("actor_token_type")):
		return nil, refuse(codeInvalidRequest, "invalid actor_token_type: want one of %s beside actor_token, and none without it", strings.Join(subjectTypes, ", "))
	case values.Has("audience") && values.Get("audience") != gateway.Audience, values.Has("resource"):
		return nil, refuse(codeInvalidTarget, "credentials are for the proxies of this installation: leave resource out, and audience, or make it %s", gateway.Audience)
	}
	requested := values.Get("requested_token_type")
	for parameter, of := range map[string]string{"csr": typeX509, "ssh_public_key": typeSSH} {
		if values.Has(parameter) && requested != of {
			return nil, refuse(codeInvalidRequest, "%s is for requested_token_type %s", parameter, of)
		}
	}
	switch requested {
	case "", typeJWT:
		return asToken(), nil
	case typeX509:
		key, err := keyOf(values.Get("csr"))
		if err != nil {
			return nil, err
		}
		return asCertificate(key)
	case typeSSH:
		key, err := sshKeyOf(values.Get("ssh_public_key"))
		if err != nil {
			return nil, err
		}
		return asSSHCertificate(key), nil
	default:
		return nil, refuse(codeInvalidRequest, "invalid requested_token_type: want %s, %s or %s", typeJWT, typeX509, typeSSH)
	}
}

const (
	maxRequestBytes = 16 << 10
	minRSABits      = 3072
	maxRSABits      = 8192
)

// keyOf reads the public key of a PKCS #10 request (RFC 2986) in PEM, whose signature
// proves that the caller has the private one. Nothing else of it is taken over: names are
// what the proof says.
func keyOf(text string) (crypto.PublicKey, error) {
	if text == "" || len(text) > maxRequestBytes {
		return nil, refuse(codeInvalidRequest, "csr is missing or too large: want a certificate request (PKCS #10) in PEM of at most %d bytes", maxRequestBytes)
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" || strings.TrimSpace(string(rest)) != "" {
		return nil, refuse(codeInvalidRequest, "csr: want one PEM block of type CERTIFICATE REQUEST")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, refuse(codeInvalidRequest, "csr: not a certificate request (RFC 2986)")
	}
	if err := checkKey("csr", request.PublicKey); err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, refuse(codeInvalidRequest, "csr: its signature is not by its own key, or by an algorithm that is not taken: sign it with SHA-256 or better")
	}
	return request.PublicKey, nil
}

// sshKeyOf reads a public key as the one line of a file id_*.pub. That the caller has the
// private one is not proven here: whoever shows the certificate proves it in the handshake.
// One for the key of somebody else is of use to nobody but them, who would have to put it
// beside their key themselves, and could do no more by it than who asked for it may do.
func sshKeyOf(text string) (ssh.PublicKey, error) {
	line := strings.TrimSpace(text)
	if line == "" || len(line) > maxRequestBytes || strings.ContainsAny(line, "\r\n") {
		return nil, refuse(codeInvalidRequest, "ssh_public_key is missing, too large, or more than a line: want a public key as in a file id_*.pub, of at most %d bytes", maxRequestBytes)
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(options) > 0 {
		return nil, refuse(codeInvalidRequest, "ssh_public_key: want a public key as in a file id_*.pub, such as \"ssh-ed25519 AAAA... comment\"")
	}
	// A certificate has none, and is no key.
	plain, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return nil, refuse(codeInvalidRequest, "ssh_public_key: want a plain public key, got one of type %q: give the file that ssh-keygen has made beside the private one", key.Type())
	}
	return key, checkKey("ssh_public_key", plain.CryptoPublicKey())
}

// checkKey is about the key of a parameter. Those of security keys are of these kinds, too.
func checkKey(what string, key crypto.PublicKey) error {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits >= minRSABits && bits <= maxRSABits {
			return nil
		}
	}
	return refuse(codeInvalidRequest, "%s: want an ECDSA key on P-256 or P-384, an Ed25519 key, or an RSA key of %d to %d bits", what, minRSABits, maxRSABits)
}
