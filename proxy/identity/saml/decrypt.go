// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"

	"github.com/beevik/etree"
	"github.com/russellhaering/gosaml2/types"
	"github.com/russellhaering/goxmldsig/etreeutils"

	"github.com/doorward/doorward/proxy/identity"
)

// The algorithms of encryption that are accepted. RSA with PKCS #1 v1.5 padding lets
// whoever sends many responses decrypt one. So does CBC, which Microsoft Entra ID and AD
// FS have nothing else than: it is taken where a signature over the whole response says
// that nobody has changed it.
var (
	keyTransports = []string{types.MethodRSAOAEP, types.MethodRSAOAEP2}
	sealing       = []string{types.MethodAES128GCM, types.MethodAES192GCM, types.MethodAES256GCM}
	unsealing     = []string{types.MethodAES128CBC, types.MethodAES256CBC}
)

// errDecryption says no more, so that nobody learns from it how far decryption went.
var errDecryption = errors.New("the assertion cannot be decrypted: let the identity provider encrypt to the certificate in the portal's metadata, by RSA-OAEP and AES-GCM")

// decrypt reads an EncryptedAssertion, whose shape has been checked. Signed says that a
// verified signature is over it.
func (sp *ServiceProvider) decrypt(encrypted *etree.Element, signed bool, ids map[string]bool) (*etree.Element, error) {
	data := find(encrypted, xenc("EncryptedData"))
	keys := all(encrypted, xenc("EncryptedKey"))
	if info := find(data, dsig("KeyInfo")); info != nil {
		keys = append(keys, all(info, xenc("EncryptedKey"))...)
	}
	if len(keys) != 1 {
		return nil, fmt.Errorf("there are %d EncryptedKeys: want one", len(keys))
	}
	if algorithm := attribute(find(keys[0], xenc("EncryptionMethod")), "Algorithm"); !slices.Contains(keyTransports, algorithm) {
		return nil, fmt.Errorf("the key encryption algorithm is not accepted: %q: let the identity provider use %s", identity.Shorten(algorithm), types.MethodRSAOAEP)
	}
	switch algorithm := attribute(find(data, xenc("EncryptionMethod")), "Algorithm"); {
	case slices.Contains(sealing, algorithm), signed && slices.Contains(unsealing, algorithm):
	case slices.Contains(unsealing, algorithm):
		return nil, fmt.Errorf("the encryption algorithm is accepted in signed responses only: %q: let the identity provider sign the response too, or use %s",
			algorithm, types.MethodAES256GCM)
	default:
		return nil, fmt.Errorf("the encryption algorithm is not accepted: %q: let the identity provider use %s", identity.Shorten(algorithm), types.MethodAES256GCM)
	}
	surroundings, err := etreeutils.NSBuildParentContext(encrypted)
	if err != nil {
		return nil, errDecryption
	}
	detached, err := etreeutils.NSDetatch(surroundings, encrypted)
	if err != nil {
		return nil, errDecryption
	}
	raw, err := encode(detached)
	if err != nil {
		return nil, errDecryption
	}
	var envelope types.EncryptedAssertion
	if err := xml.Unmarshal(raw, &envelope); err != nil {
		return nil, errDecryption
	}
	certificate := tls.Certificate{Certificate: [][]byte{sp.config.Certificate.Raw}, PrivateKey: sp.config.Key}
	plain, err := envelope.DecryptBytes(&certificate)
	if err != nil {
		return nil, errDecryption
	}
	// By CBC, whether this is XML would be an answer too.
	element, err := parse(plain, ids)
	if err != nil || nameOf(element) != assertion("Assertion") {
		return nil, errDecryption
	}
	return element, nil
}
