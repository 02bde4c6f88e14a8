// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/beevik/etree"
	xmldsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"

	"github.com/doorward/doorward/proxy/identity"
)

// The algorithms that are accepted (RFC 9231): no SHA-1, nothing symmetric, and of
// transforms those two that SAML knows (saml-core-2.0-os section 5.4.4), without comments.
var (
	signatureMethods = []string{
		xmldsig.RSASHA256SignatureMethod, xmldsig.RSASHA384SignatureMethod, xmldsig.RSASHA512SignatureMethod,
		xmldsig.ECDSASHA256SignatureMethod, xmldsig.ECDSASHA384SignatureMethod, xmldsig.ECDSASHA512SignatureMethod,
	}
	digestMethods = []string{
		"http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2001/04/xmlenc#sha512",
	}
	exclusive  = string(xmldsig.CanonicalXML10ExclusiveAlgorithmId)
	transforms = []string{string(xmldsig.EnvelopedSignatureAltorithmId), exclusive}
)

// verify checks the signature that is in an element and returns the element as it was
// signed: read from the bytes that were canonicalised and verified. It has no signature
// any more.
func (sp *ServiceProvider) verify(element *etree.Element, now time.Time) (*etree.Element, error) {
	if err := checkSignature(element); err != nil {
		return nil, err
	}
	surroundings, err := etreeutils.NSBuildParentContext(element)
	if err != nil {
		return nil, errors.New("its namespaces cannot be read")
	}
	detached, err := etreeutils.NSDetatch(surroundings, element)
	if err != nil {
		return nil, errors.New("it is too large to be verified: let the identity provider send fewer attributes or groups")
	}
	context := xmldsig.NewDefaultValidationContext(&xmldsig.MemoryX509CertificateStore{Roots: sp.idp.Certificates})
	context.Clock = xmldsig.NewFakeClockAt(now)
	verified, err := context.Validate(detached)
	if err != nil || verified == nil {
		return nil, fmt.Errorf("the signature of <%s> is not by a valid certificate of the metadata: if the identity provider has changed its key, fetch its metadata again", element.Tag)
	}
	return verified, nil
}

// checkSignature refuses a signature of anything but the element that it is in, and by
// algorithms that we do not take. The shape of both has been checked.
func checkSignature(element *etree.Element) error {
	info := find(find(element, dsig("Signature")), dsig("SignedInfo"))
	reference := find(info, dsig("Reference"))
	if id := attribute(element, "ID"); id == "" || attribute(reference, "URI") != "#"+id {
		return fmt.Errorf("the signature in <%s> is of something else", element.Tag)
	}
	for _, one := range []struct {
		what    string
		element *etree.Element
		allowed []string
	}{
		{"signature", find(info, dsig("SignatureMethod")), signatureMethods},
		{"digest", find(reference, dsig("DigestMethod")), digestMethods},
		{"canonicalization", find(info, dsig("CanonicalizationMethod")), []string{exclusive}},
	} {
		if algorithm := attribute(one.element, "Algorithm"); !slices.Contains(one.allowed, algorithm) {
			return fmt.Errorf("the %s algorithm of the signature is not accepted: %q: let the identity provider sign with RSA or ECDSA and SHA-256, canonicalised by %s",
				one.what, identity.Shorten(algorithm), exclusive)
		}
	}
	var applied []string
	for _, transform := range all(find(reference, dsig("Transforms")), dsig("Transform")) {
		applied = append(applied, attribute(transform, "Algorithm"))
	}
	if !slices.Equal(applied, transforms) {
		return fmt.Errorf("the transforms of the signature are not accepted: want %q", transforms)
	}
	return nil
}
