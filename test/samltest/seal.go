// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package samltest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// Sign returns an element with an enveloped signature after its Issuer, by exclusive
// canonicalization and RSA with SHA-256, where no change says otherwise.
func (i *IdP) Sign(element *etree.Element, changes ...func(*dsig.SigningContext)) (*etree.Element, error) {
	signing, err := dsig.NewSigningContext(i.Key, [][]byte{i.Certificate.Raw})
	if err != nil {
		return nil, err
	}
	signing.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	for _, change := range changes {
		change(signing)
	}
	signature, err := signing.ConstructSignature(element, true)
	if err != nil {
		return nil, err
	}
	signed := element.Copy()
	signed.InsertChildAt(1, signature)
	return signed, nil
}

// Algorithms of XML encryption.
const (
	OAEP   = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
	PKCS1  = "http://www.w3.org/2001/04/xmlenc#rsa-1_5"
	AESGCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
	AESCBC = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
)

// Encrypt makes an EncryptedAssertion of an element, for whoever has the key: by OAEP or
// PKCS1, and AESGCM or AESCBC.
func Encrypt(element *etree.Element, to *rsa.PublicKey, transport, algorithm string) (*etree.Element, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	sealed, err := seal(key, write(element), algorithm)
	if err != nil {
		return nil, err
	}
	var wrapped []byte
	if transport == PKCS1 {
		wrapped, err = rsa.EncryptPKCS1v15(rand.Reader, to, key) //nolint:staticcheck // What is to be refused.
	} else {
		wrapped, err = rsa.EncryptOAEP(sha1.New(), rand.Reader, to, key, nil)
	}
	if err != nil {
		return nil, err
	}
	document := etree.NewDocument()
	if err := document.ReadFromString(fmt.Sprintf(strings.Join([]string{
		`<saml:EncryptedAssertion xmlns:saml="%s"><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element">`,
		`<xenc:EncryptionMethod Algorithm="%s"/><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptedKey>`,
		`<xenc:EncryptionMethod Algorithm="%s"/><xenc:CipherData><xenc:CipherValue>%s</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>`,
		`<xenc:CipherData><xenc:CipherValue>%s</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>`,
	}, ""), Assertion, algorithm, transport, base64.StdEncoding.EncodeToString(wrapped), base64.StdEncoding.EncodeToString(sealed))); err != nil {
		return nil, err
	}
	return document.Root(), nil
}

func seal(key, plain []byte, algorithm string) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if algorithm == AESCBC {
		pad := aes.BlockSize - len(plain)%aes.BlockSize
		plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
		out := make([]byte, aes.BlockSize+len(plain))
		_, _ = rand.Read(out[:aes.BlockSize]) // never fails
		cipher.NewCBCEncrypter(block, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], plain)
		return out, nil
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return gcm.Seal(nonce, nonce, plain, nil), nil
}
