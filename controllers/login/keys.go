// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/identity/gateway"
)

// How keys follow each other. A key is there for its lead before it is used, so that every
// proxy and every replica knows it by then, and stays until all that was made with the one
// before it has ended.
const (
	signingLife = 90 * 24 * time.Hour
	signingLead = time.Hour
	sealingLife = 30 * 24 * time.Hour
	sealingLead = 10 * time.Minute
	// keyGrace allows for clocks and for snapshots on their way.
	keyGrace = time.Hour
	// samlLife is long: identity providers are told of a new certificate by hand.
	samlLife    = 10 * 365 * 24 * time.Hour
	samlBits    = 3072
	sealingSize = 32
)

// ring is what the Secret holds, as JSON. Keys are ordered by age, the eldest first.
type ring struct {
	Signing []ringKey `json:"signing"`
	Sealing []ringKey `json:"sealing"`
	// SAML is an RSA key in PKCS #8 with a certificate of its own.
	SAML        []byte `json:"saml"`
	Certificate []byte `json:"samlCertificate"`
}

// ringKey is a key with the time it was made: PKCS #8, or the bytes of an AES key.
type ringKey struct {
	Created time.Time `json:"created"`
	Key     []byte    `json:"key"`
}

// Keys are what the portal signs, seals and proves itself with.
type Keys struct {
	authority *gateway.Authority
	// verifier knows what was signed by any key that credentials in force may be signed by.
	verifier *gateway.Verifier
	sealer   *sealer
	// SAMLKey and SAMLCertificate are the service provider's.
	SAMLKey         *rsa.PrivateKey
	SAMLCertificate *x509.Certificate
}

// advance brings keys to where they have to be now, and says whether they changed.
func advance(r ring, now time.Time) (ring, bool, error) {
	changed := false
	for _, kind := range []struct {
		keys        *[]ringKey
		life, stays time.Duration
		make        func() ([]byte, error)
	}{
		{&r.Signing, signingLife, signingLead + gateway.MaxLifetime + keyGrace, newSigningKey},
		{&r.Sealing, sealingLife, sealingLead + maxSealed + keyGrace, newSealingKey},
	} {
		keys := slices.Clone(*kind.keys)
		if len(keys) == 0 || now.Sub(keys[len(keys)-1].Created) > kind.life {
			made, err := kind.make()
			if err != nil {
				return ring{}, false, err
			}
			keys, changed = append(keys, ringKey{Created: now.UTC().Truncate(time.Second), Key: made}), true
		}
		for len(keys) > 1 && now.Sub(keys[1].Created) > kind.stays {
			keys, changed = keys[1:], true
		}
		*kind.keys = keys
	}
	if len(r.SAML) == 0 {
		var err error
		if r.SAML, r.Certificate, err = newSAMLPair(now); err != nil {
			return ring{}, false, err
		}
		changed = true
	}
	return r, changed, nil
}

// inUse is the youngest key whose lead is over, or the eldest.
func inUse(keys []ringKey, lead time.Duration, now time.Time) int {
	for i := len(keys) - 1; i > 0; i-- {
		if now.Sub(keys[i].Created) >= lead {
			return i
		}
	}
	return 0
}

// parse reads a ring. A key that cannot be read is an error, and is never replaced.
func (r *ring) parse(now time.Time) (*Keys, error) {
	if len(r.Signing) == 0 || len(r.Sealing) == 0 {
		return nil, errors.New("a key is missing")
	}
	signing, err := signingKeyOf(r.Signing[inUse(r.Signing, signingLead, now)].Key)
	if err != nil {
		return nil, err
	}
	k := &Keys{}
	if k.authority, err = gateway.NewAuthority(signing); err != nil {
		return nil, err
	}
	public, err := r.public()
	if err != nil {
		return nil, err
	}
	if k.verifier, err = gateway.NewVerifier(public, "", func(string) (string, bool) { return "", false }); err != nil {
		return nil, err
	}
	if k.sealer, err = newSealer(r.Sealing, inUse(r.Sealing, sealingLead, now)); err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(r.SAML)
	key, isRSA := parsed.(*rsa.PrivateKey)
	if err != nil || !isRSA {
		return nil, errors.New("the key for SAML is no RSA key in PKCS #8")
	}
	if k.SAMLCertificate, err = x509.ParseCertificate(r.Certificate); err != nil || !key.PublicKey.Equal(k.SAMLCertificate.PublicKey) {
		return nil, errors.New("the certificate for SAML is not that of its key")
	}
	k.SAMLKey = key
	return k, nil
}

func signingKeyOf(der []byte) (*ecdsa.PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, isECDSA := parsed.(*ecdsa.PrivateKey)
	if err != nil || !isECDSA || key.Curve != elliptic.P256() {
		return nil, errors.New("a signing key is no ECDSA key on P-256 in PKCS #8")
	}
	return key, nil
}

func newSigningKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make a signing key: %w", err)
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

func newSealingKey() ([]byte, error) {
	key := make([]byte, sealingSize)
	_, _ = rand.Read(key) // never fails on supported platforms (Go 1.24)
	return key, nil
}

func newSAMLPair(now time.Time) (key, certificate []byte, err error) {
	made, err := rsa.GenerateKey(rand.Reader, samlBits)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a key for SAML: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.Unix()), Subject: pkix.Name{CommonName: "doorward login portal"},
		NotBefore: now.Add(-keyGrace), NotAfter: now.Add(samlLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
	}
	if certificate, err = x509.CreateCertificate(rand.Reader, template, template, &made.PublicKey, made); err != nil {
		return nil, nil, fmt.Errorf("cannot make a certificate for SAML: %w", err)
	}
	key, err = x509.MarshalPKCS8PrivateKey(made)
	return key, certificate, err
}

func decodeRing(data []byte) (ring, error) {
	var r ring
	if len(data) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return ring{}, errors.New("not JSON") // the error would quote keys
	}
	return r, nil
}
