// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"encoding/base64"

	"github.com/beevik/etree"
	"github.com/russellhaering/gosaml2/types"
)

// Metadata is the service provider's own metadata document, for the identity provider's
// administrator.
func (sp *ServiceProvider) Metadata() []byte {
	entity := etree.NewElement("md:EntityDescriptor")
	entity.CreateAttr("xmlns:md", md)
	entity.CreateAttr("xmlns:ds", dsigNamespace)
	entity.CreateAttr("entityID", sp.config.EntityID)
	role := entity.CreateElement("md:SPSSODescriptor")
	role.CreateAttr("AuthnRequestsSigned", "true")
	role.CreateAttr("WantAssertionsSigned", "true")
	role.CreateAttr("protocolSupportEnumeration", protocolNamespace)
	for _, use := range []string{"signing", "encryption"} {
		key := role.CreateElement("md:KeyDescriptor")
		key.CreateAttr("use", use)
		certificate := key.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data").CreateElement("ds:X509Certificate")
		certificate.SetText(base64.StdEncoding.EncodeToString(sp.config.Certificate.Raw))
		if use == "encryption" {
			for _, algorithm := range []string{types.MethodAES256GCM, types.MethodAES128GCM, types.MethodRSAOAEP} {
				key.CreateElement("md:EncryptionMethod").CreateAttr("Algorithm", algorithm)
			}
		}
	}
	if format := sp.config.NameIDFormat; format != "" {
		role.CreateElement("md:NameIDFormat").SetText(format)
	}
	service := role.CreateElement("md:AssertionConsumerService")
	service.CreateAttr("Binding", bindingPOST)
	service.CreateAttr("Location", sp.config.ACSURL)
	service.CreateAttr("index", "0")
	service.CreateAttr("isDefault", "true")
	raw, err := encode(entity)
	if err != nil {
		// Writing to memory does not fail.
		return nil
	}
	return raw
}
