// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"
	roundtrip "github.com/mattermost/xml-roundtrip-validator"

	"github.com/doorward/doorward/proxy/identity"
)

// Bounds of a response. Real ones have some 10 KiB and 100 elements.
const (
	maxResponse   = 256 << 10
	maxDepth      = 24
	maxElements   = 2000
	maxAttributes = 32
)

// decode reads the SAMLResponse field (saml-bindings-2.0-os section 3.5.4). It is XML in
// base64, never compressed.
func decode(encoded string) ([]byte, error) {
	if len(encoded) > base64.StdEncoding.EncodedLen(maxResponse) {
		return nil, fmt.Errorf("it is too large: more than %d bytes: let the identity provider send fewer attributes or groups", maxResponse)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	return raw, nil
}

// parse reads a document of which there is one reading only. It has no DOCTYPE, entity,
// comment, CDATA or processing instruction, at which readers differ on what the text of
// an element is; no attribute twice, and no two elements of one ID. The ids are those
// seen so far, and are added to.
func parse(raw []byte, ids map[string]bool) (*etree.Element, error) {
	body := raw
	if bytes.HasPrefix(body, []byte("<?xml ")) {
		if end := bytes.Index(body, []byte("?>")); end > 0 {
			body = body[end:]
		}
	}
	switch {
	case !utf8.Valid(raw):
		return nil, errors.New("it is not UTF-8")
	// In XML these bytes are nothing else: "<" is escaped in text and attributes.
	case bytes.Contains(raw, []byte("<!")), bytes.Contains(body, []byte("<?")):
		return nil, errors.New("a DOCTYPE, comment, CDATA section or processing instruction does not belong there")
	}
	if err := scan(raw, ids); err != nil {
		return nil, err
	}
	// encoding/xml must write what it has read.
	if err := roundtrip.Validate(bytes.NewReader(raw)); err != nil {
		return nil, errors.New("it is XML that readers understand differently")
	}
	document := etree.NewDocument()
	document.ReadSettings.MaxDepth = maxDepth
	if err := document.ReadFromBytes(raw); err != nil || document.Root() == nil {
		return nil, errors.New("it is no XML")
	}
	return document.Root(), nil
}

// scan checks bounds, attributes and IDs before a tree is built.
func scan(raw []byte, ids map[string]bool) error {
	decoder := xml.NewDecoder(bytes.NewReader(raw))
	depth, elements, roots := 0, 0, 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.New("it is no XML in UTF-8")
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth, elements = depth+1, elements+1
			if depth > maxDepth || elements > maxElements || roots > 1 || len(token.Attr) > maxAttributes {
				return fmt.Errorf("it is too large: want one root, at most %d elements, %d deep, of %d attributes: let the identity provider send fewer attributes or groups",
					maxElements, maxDepth, maxAttributes)
			}
			if err := uniqueAttributes(token); err != nil {
				return err
			}
			for _, attribute := range token.Attr {
				if !strings.EqualFold(attribute.Name.Local, "id") {
					continue
				}
				if ids[attribute.Value] {
					return fmt.Errorf("two elements have one ID: %q", identity.Shorten(attribute.Value))
				}
				ids[attribute.Value] = true
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(token)) > 0 {
				return errors.New("there is text beside the root")
			}
		}
	}
}

// uniqueAttributes says that no attribute is there twice, which encoding/xml lets pass.
func uniqueAttributes(element xml.StartElement) error {
	for i, attribute := range element.Attr {
		if slices.ContainsFunc(element.Attr[:i], func(other xml.Attr) bool { return other.Name == attribute.Name }) {
			return fmt.Errorf("an element has one attribute twice: %q", identity.Shorten(attribute.Name.Local))
		}
	}
	return nil
}

// find is the child of a name, nil where there is none. That there is not more than one
// is for the schema to say.
func find(parent *etree.Element, of name) *etree.Element {
	for _, child := range parent.ChildElements() {
		if nameOf(child) == of {
			return child
		}
	}
	return nil
}

// all are the children of a name.
func all(parent *etree.Element, of name) []*etree.Element {
	return slices.DeleteFunc(parent.ChildElements(), func(child *etree.Element) bool { return nameOf(child) != of })
}

// attribute is the value of an attribute without prefix, empty where there is none.
func attribute(element *etree.Element, key string) string {
	for _, attr := range element.Attr {
		if attr.Space == "" && attr.Key == key {
			return attr.Value
		}
	}
	return ""
}

// text is the whole text of an element, which has nothing else in it.
func text(element *etree.Element) string {
	var whole strings.Builder
	for _, child := range element.Child {
		if data, ok := child.(*etree.CharData); ok {
			whole.WriteString(data.Data)
		}
	}
	return whole.String()
}
