// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/test/samltest"
)

// TestXMLRefused (checklist 27): documents that two readers may read in two ways, and
// those that are larger than they look. Each is a good response, changed where the
// signature does not tell, or before anybody looks at it.
func TestXMLRefused(t *testing.T) {
	const name, odd = "ann@shop.example", "does not belong there"
	replace := func(from, to string) func(string) string {
		return func(document string) string { return strings.Replace(document, from, to, 1) }
	}
	cases := map[string]struct {
		reason string
		change func(string) string
		says   string
	}{
		"Comment":      {"canonicalization drops it, and a reader stops at it", replace(name, "ann@shop.example<!---->.evil.example"), odd},
		"CommentFirst": {"wherever it is", replace("<samlp:Status>", "<!-- x --><samlp:Status>"), odd},
		"Instruction":  {"so does it", replace(name, "ann<?x y?>@shop.example"), odd},
		"CDATA":        {"text in another spelling", replace(name, "<![CDATA[ann]]>@shop.example"), odd},
		"Doctype":      {"declares what is not written", func(d string) string { return `<!DOCTYPE x>` + d }, odd},
		"BillionLaughs": {"entities of entities", func(d string) string {
			return `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]>` + strings.Replace(d, name, "&c;", 1)
		}, odd},
		"External": {"a file of the server", func(d string) string {
			return `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + strings.Replace(d, name, "&a;", 1)
		}, odd},
		"Entity":         {"undeclared", replace(name, "&a;"), "no XML"},
		"Charset":        {"bytes that another reader reads otherwise", func(d string) string { return `<?xml version="1.0" encoding="UTF-7"?>` + d }, "UTF-8"},
		"NotUTF8":        {"as above", replace(name, "ann\xff"), "it is not UTF-8"},
		"UTF16":          {"as above", func(d string) string { return "\xff\xfe" + d }, "it is not UTF-8"},
		"TwoRoots":       {"which counts?", func(d string) string { return d + d }, "one root"},
		"TrailingText":   {"what follows is read by some", func(d string) string { return d + "x" }, "beside the root"},
		"Unclosed":       {"cut off", func(d string) string { return d[:len(d)-10] }, "no XML"},
		"TwiceAttribute": {"which counts?", replace(`Version="2.0"`, `Version="2.0" Version="2.0"`), "one attribute twice"},
		"DuplicateIDs": {"which is signed?", func(d string) string {
			return strings.Replace(d, `<saml:NameID `, `<saml:NameID Id="`+between(d, `ID="`, `"`)+`" `, 1)
		}, "one ID"},
		"Colons":         {"a name that does not survive being written", replace("<samlp:Status>", "<samlp::Status>"), ""},
		"OtherNamespace": {"an assertion that is none", replace(`xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID`, `xmlns:saml="urn:x" ID`), "does not belong"},
		"Deep":           {"as deep as the stack", func(string) string { return strings.Repeat("<a>", 5000) + strings.Repeat("</a>", 5000) }, "too large"},
		"Many":           {"elements without end", func(string) string { return "<a>" + strings.Repeat("<b/>", 20000) + "</a>" }, "too large"},
		"ManyAttributes": {"attributes without end", func(string) string {
			var d strings.Builder
			for i := range 5000 {
				d.WriteString(" a" + strings.Repeat("b", i%50) + string(rune('a'+i%26)) + `=""`)
			}
			return "<a" + d.String() + "/>"
		}, "too large"},
		"Empty":    {"nothing", func(string) string { return "" }, ""},
		"Text":     {"no XML", func(string) string { return "hello" }, ""},
		"HTML":     {"something else", func(string) string { return "<html></html>" }, "not a Response"},
		"Deflated": {"that is the other binding", deflate, "it is not UTF-8"},
		"Bomb":     {"a little that becomes very much", func(string) string { return deflate(strings.Repeat("<a/>", 64<<20/4)) }, ""},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			l := login()
			encoded, err := keys().idp.Post(l)
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			refused(t, newProvider(t), encodeText(test.change(decodeText(t, encoded))), l.Now, test.reason, test.says)
			if took := time.Since(begun); took > 30*time.Second {
				t.Errorf("%s: refused only after %s", test.reason, took)
			}
		})
	}
}

// TestSize: what is too large is refused before it is decoded.
func TestSize(t *testing.T) {
	l := login()
	refused(t, newProvider(t), strings.Repeat("A", 8<<20), l.Now, "too large", "too large")
	refused(t, newProvider(t), "%%%", l.Now, "no base64", "not base64")
	r := keys().idp.Response(l, sign(t, keys().idp, keys().idp.Assertion(l)))
	r.CreateText(strings.Repeat(" ", 300<<10))
	refused(t, newProvider(t), samltest.Encode(r), l.Now, "too large once decoded", "too large")
}

// TestLineEnds: a response in base64 with line ends is one; MIME writes them.
func TestLineEnds(t *testing.T) {
	l := login()
	encoded, err := keys().idp.Post(l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newProvider(t).Response(encoded[:76]+"\r\n"+encoded[76:]+"\r\n", requestID, l.Now); err != nil {
		t.Error(err)
	}
	if _, err := newProvider(t).Response(encodeText(`<?xml version="1.0" encoding="UTF-8"?>`+"\n"+decodeText(t, encoded)), requestID, l.Now); err != nil {
		t.Errorf("with a declaration: %v", err)
	}
}

func deflate(document string) string {
	var out bytes.Buffer
	writer, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	_, _ = writer.Write([]byte(document)) // into memory
	_ = writer.Close()
	return out.String()
}

func between(text, begin, end string) string {
	_, rest, _ := strings.Cut(text, begin)
	found, _, _ := strings.Cut(rest, end)
	return found
}

// FuzzResponse: whatever arrives is refused without a panic, but for what an identity
// provider has signed: and that names the user that it signed.
func FuzzResponse(f *testing.F) {
	idp, l := keys().idp, login()
	good := idp.Response(l, sign(f, idp, idp.Assertion(l)))
	for _, r := range []string{
		samltest.Encode(good),
		samltest.Encode(sign(f, idp, idp.Response(l, idp.Assertion(l)))),
		samltest.Encode(idp.Response(l, encrypt(f, sign(f, idp, idp.Assertion(l)), samltest.OAEP, samltest.AESGCM))),
	} {
		f.Add([]byte(decodeText(f, r)))
	}
	for _, wrapping := range wrappings {
		wrapped := idp.Response(l, sign(f, idp, idp.Assertion(l)))
		if wrapping.message {
			wrapped = sign(f, idp, idp.Response(l, idp.Assertion(l)))
		}
		wrapping.wrap(wrapped)
		f.Add([]byte(decodeText(f, samltest.Encode(wrapped))))
	}
	sp, err := newFuzzed()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		a, err := sp.Response(base64.StdEncoding.EncodeToString(document), requestID, l.Now)
		if err == nil && a.NameID != l.NameID {
			t.Errorf("accepted as %q", a.NameID)
		}
	})
}
