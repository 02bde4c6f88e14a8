// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	xmldsig "github.com/russellhaering/goxmldsig"
)

// Namespaces (saml-core-2.0-os section 1.1).
const (
	protocolNamespace  = "urn:oasis:names:tc:SAML:2.0:protocol"
	assertionNamespace = "urn:oasis:names:tc:SAML:2.0:assertion"
)

// instantFormat is how instants are written: UTC (saml-core-2.0-os section 1.3.3).
const instantFormat = "2006-01-02T15:04:05Z"

// maxRelayState is in bytes (saml-bindings-2.0-os section 3.4.3).
const maxRelayState = 80

// idPattern is an NCName, as far as it is needed.
var idPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{15,127}$`)

// Request is how a browser brings an AuthnRequest to the identity provider.
type Request struct {
	// URL is where the browser goes.
	URL string
	// Form, where not nil, are the fields that it posts there, by the HTTP-POST binding;
	// else the URL holds all, by the HTTP-Redirect binding.
	Form url.Values
}

// AuthnRequest makes a signed request. The id is one that nobody can guess, of 16 to 128
// letters, digits, "_", "." and "-", not beginning with a digit; the response must name
// it. The relayState, at most 80 bytes, comes back beside the response, where it proves
// nothing.
func (sp *ServiceProvider) AuthnRequest(id, relayState string, now time.Time) (Request, error) {
	if !idPattern.MatchString(id) {
		return Request{}, errors.New("cannot make an AuthnRequest: the id is no NCName of 16 to 128 characters")
	}
	if len(relayState) > maxRelayState {
		return Request{}, fmt.Errorf("cannot make an AuthnRequest: the relay state has %d bytes, at most %d are allowed", len(relayState), maxRelayState)
	}
	signing, err := xmldsig.NewSigningContext(sp.config.Key, [][]byte{sp.config.Certificate.Raw})
	if err == nil {
		err = signing.SetSignatureMethod(xmldsig.RSASHA256SignatureMethod)
	}
	if err != nil {
		return Request{}, fmt.Errorf("cannot sign an AuthnRequest: %w", err)
	}
	request := sp.authnRequest(id, now)
	if sp.idp.binding == bindingPOST {
		return sp.post(request, relayState, signing)
	}
	return sp.redirect(request, relayState, signing)
}

func (sp *ServiceProvider) authnRequest(id string, now time.Time) *etree.Element {
	request := etree.NewElement("samlp:AuthnRequest")
	request.CreateAttr("xmlns:samlp", protocolNamespace)
	request.CreateAttr("xmlns:saml", assertionNamespace)
	request.CreateAttr("ID", id)
	request.CreateAttr("Version", "2.0")
	request.CreateAttr("IssueInstant", now.UTC().Format(instantFormat))
	request.CreateAttr("Destination", sp.idp.location)
	request.CreateAttr("AssertionConsumerServiceURL", sp.config.ACSURL)
	request.CreateAttr("ProtocolBinding", bindingPOST)
	request.CreateElement("saml:Issuer").SetText(sp.config.EntityID)
	policy := request.CreateElement("samlp:NameIDPolicy")
	policy.CreateAttr("AllowCreate", "true")
	if sp.config.NameIDFormat != "" {
		policy.CreateAttr("Format", sp.config.NameIDFormat)
	}
	return request
}

// redirect signs the query (saml-bindings-2.0-os section 3.4.4.1).
func (sp *ServiceProvider) redirect(request *etree.Element, relayState string, signing *xmldsig.SigningContext) (Request, error) {
	document, err := encode(request)
	if err != nil {
		return Request{}, err
	}
	var deflated bytes.Buffer
	writer, err := flate.NewWriter(&deflated, flate.BestCompression)
	if err == nil {
		_, err = writer.Write(document)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		return Request{}, fmt.Errorf("cannot compress an AuthnRequest: %w", err)
	}
	query := "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(deflated.Bytes()))
	if relayState != "" {
		query += "&RelayState=" + url.QueryEscape(relayState)
	}
	query += "&SigAlg=" + url.QueryEscape(xmldsig.RSASHA256SignatureMethod)
	signature, err := signing.SignString(query)
	if err != nil {
		return Request{}, fmt.Errorf("cannot sign an AuthnRequest: %w", err)
	}
	query += "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
	separator := "?"
	if strings.Contains(sp.idp.location, "?") {
		separator = "&"
	}
	return Request{URL: sp.idp.location + separator + query}, nil
}

// post puts the signature into the request, after its Issuer (saml-core-2.0-os section
// 3.2.1).
func (sp *ServiceProvider) post(request *etree.Element, relayState string, signing *xmldsig.SigningContext) (Request, error) {
	signing.Canonicalizer = xmldsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	signature, err := signing.ConstructSignature(request, true)
	if err != nil {
		return Request{}, fmt.Errorf("cannot sign an AuthnRequest: %w", err)
	}
	request.Child = slices.Insert(request.Child, 1, etree.Token(signature))
	document, err := encode(request)
	if err != nil {
		return Request{}, err
	}
	form := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(document)}}
	if relayState != "" {
		form.Set("RelayState", relayState)
	}
	return Request{URL: sp.idp.location, Form: form}, nil
}

// encode writes an element as a document of its own.
func encode(element *etree.Element) ([]byte, error) {
	document := etree.NewDocument()
	document.SetRoot(element)
	raw, err := document.WriteToBytes()
	if err != nil {
		return nil, fmt.Errorf("cannot encode <%s>: %w", element.Tag, err)
	}
	return raw, nil
}
