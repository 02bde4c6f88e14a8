// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity/gateway"
)

// maxCommonName is the bound of X.520 (RFC 5280, appendix A.1).
const maxCommonName = 64

// credentialForm is what a credential is issued as.
type credentialForm struct {
	of v1alpha1.GatewayCredentialForm
	// digest is that of the caller's public key; empty for a token.
	digest string
	// sign makes what the caller gets. The user name is for people who read it.
	sign func(by *gateway.Authority, s gateway.Statement, userName string) (string, error)
}

// asToken is a JWT.
func asToken() *credentialForm {
	return &credentialForm{of: v1alpha1.GatewayCredentialToken, sign: func(by *gateway.Authority, s gateway.Statement, _ string) (string, error) {
		return by.Token(s)
	}}
}

// asCertificate is a client certificate for a key, in PEM.
func asCertificate(key crypto.PublicKey) (*credentialForm, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, refuse(codeInvalidRequest, "csr: the public key cannot be encoded")
	}
	return &credentialForm{
		of: v1alpha1.GatewayCredentialClientCertificate, digest: keyDigest(der),
		sign: func(by *gateway.Authority, s gateway.Statement, userName string) (string, error) {
			der, err := by.Certificate(s, key, commonName(userName))
			if err != nil {
				return "", err
			}
			return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
		},
	}, nil
}

// asSSHCertificate is an SSH user certificate for a key, as the one line of a file
// id_*-cert.pub.
func asSSHCertificate(key ssh.PublicKey) *credentialForm {
	return &credentialForm{
		of: v1alpha1.GatewayCredentialSSHCertificate, digest: keyDigest(key.Marshal()),
		sign: func(by *gateway.Authority, s gateway.Statement, userName string) (string, error) {
			certificate, err := by.SSHCertificate(s, key, []string{principal(userName)})
			if err != nil {
				return "", err
			}
			return string(ssh.MarshalAuthorizedKey(certificate)), nil
		},
	}
}

func keyDigest(key []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(key)) }

// commonName is a user name for people who read a certificate, cut to what fits.
func commonName(userName string) string {
	for utf8.RuneCountInString(userName) > maxCommonName {
		_, size := utf8.DecodeLastRuneInString(userName)
		userName = userName[:len(userName)-size]
	}
	return strings.ToValidUTF8(userName, "?")
}

// principal is a user name as a principal of SSH, which nobody goes by: without what would
// make a list of it, or draw on a terminal.
func principal(userName string) string {
	return strings.Map(func(r rune) rune {
		if r == ',' || unicode.IsSpace(r) || !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, commonName(userName))
}
