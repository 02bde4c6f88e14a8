// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tagged replaces findings by their detector and text, so that tests see both.
func tagged(detectors ...Detector) *Set {
	rules := make([]Rule, 0, len(detectors))
	for _, d := range detectors {
		rules = append(rules, Rule{Detector: d, Replace: func(dst, finding []byte) []byte {
			dst = append(append(append(dst, "<"...), d...), ':')
			return append(append(dst, finding...), '>')
		}})
	}
	return New(rules...)
}

var everyDetector = tagged(Detectors()...)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

var (
	token64 = encode(`{"typ":"JWT","alg":"HS256"}`) + "." + encode(`{"sub":"1"}`) + ".c2ln"
	keyBody = strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n", 12)
	keyPEM  = "-----BEGIN PRIVATE KEY-----\n" + keyBody + "-----END PRIVATE KEY-----"
)

// found are texts with their findings marked as tagged marks them.
var found = map[string][]string{
	"Email": {
		"<Email:alice@example.com>", "to: <Email:a.b+c@mail.example.co.uk>.", "x=<Email:bob@example.org>;", "(<Email:a@xn--bcher-kva.example>)",
		"'<Email:o'brien@example.com>'", "mailto:<Email:a@b.de>?subject=x", "<Email:alice%40example.com>", "<Email:änne@bücher.example>", "\xe4\xff<Email:nne@example.com>\xff", "a@\xff.com",
		"{<Email:a@example.com>,<Email:b@example.com>}", "<Email:a@example.com>@b", "https://<Email:u@example.com>/x",
		"a@b", "@example.com", "a@.com", "a.@example.com", "icon@2x.png", "pkg@1.2.3", "a@b.c", "100% 40", "x@-a.com",
	},
	"PaymentCard": {
		"<PaymentCard:4111111111111111>", "<PaymentCard:4111 1111 1111 1111>", "<PaymentCard:4111-1111-1111-1111>,", "<PaymentCard:4111.1111.1111.1111>",
		"card=<PaymentCard:378282246310005>", "<PaymentCard:3782 822463 10005>", "<PaymentCard:5555555555554444>", "<PaymentCard:2223003122003222>",
		"<PaymentCard:30569309025904>", "<PaymentCard:6011111111111117>", "<PaymentCard:3530111333300000>", "<PaymentCard:4222222222222>",
		"<PaymentCard:4111\u00a01111\u00a01111\u00a01111>", "12 <PaymentCard:4111 1111 1111 1111> 123", "17,<PaymentCard:4111111111111111>,<PaymentCard:4111111111111111>", "<PaymentCard:6200000000000005>",
		"4111111111111112", "41111111111111111", "a4111111111111111", "4111111111111111a", "1700000000000", "1.4111111111111111", "4111111111111111.5",
		"4111-1111 1111-1111", "+4111111111111111", "1234567812345670",
	},
	"IBAN": {
		"<IBAN:DE89370400440532013000>", "<IBAN:DE89 3704 0044 0532 0130 00> x", "<IBAN:GB29NWBK60161331926819>", "<IBAN:GB29 NWBK 6016 1331 9268 19>",
		"<IBAN:FR1420041010050500013M02606>", "<IBAN:nl91abna0417164300>", "<IBAN:NO9386011117947>", "<IBAN:MT84MALT011000012345MTLCAST001S>",
		"<IBAN:DE89-3704-0044-0532-0130-00>", "IBAN:<IBAN:CH9300762011623852957>",
		"DE89370400440532013001", "DE8937040044053201300", "XX89370400440532013000", "DE893704004405320130001", "DE89 3704 00440532 0130 00",
	},
	"Phone": {
		"<Phone:+49 30 1234567>", "<Phone:+493012345678>", "<Phone:+1 (212) 555-0100>", "<Phone:+44 (0)20 7946 0958>", "call <Phone:(212) 555-0100>.",
		"<Phone:212-555-0100>", "<Phone:212.555.0100>", "<Phone:1-212-555-0100>", "<Phone:030 1234567>", "<Phone:06 12 34 56 78>", "<Phone:(0171) 123-4567>",
		"<Phone:0049 30 1234567>", "<Phone:+1 212 555 0100>x12", "17,<Phone:212-555-0100>,<Phone:030 1234567>", "<Phone:030/123 45 67>", "<Phone:020 7946 0958>",
		"2125550100", "123-456-7890", "0123456789", "09-12-2026", "01.02.2026 12", "+123", "a+491234567890", "1+4912345678", "+28 123456789", "12-212-555-0100",
	},
	"SSN": {
		"<SSN:123-45-6789>", "ssn <SSN:219 09 9999>!", "(<SSN:001-01-0001>)",
		"000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "123456789", "123-45-67890", "1123-45-6789", "123-45-6789-1", "5-123-45-6789", "123-45 6789", "123.45.6789",
	},
	"JWT": {
		"Bearer <JWT:" + token64 + ">", "<JWT:" + token64 + ">.", "<JWT:" + encode(`{"alg":"dir","enc":"A128GCM"}`) + "..aXY.dGV4dA.dGFn>",
		"<JWT:" + encode(`{"alg":"none"}`) + "." + encode(`{"sub":"1"}`) + ".>",
		"eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0", encode(`{"kid":"alg"}`) + ".a.b", "x" + token64, encode(`{"a":1}`) + ".eyJ.x",
	},
	"CloudKey": {
		"<CloudKey:AKIAIOSFODNN7EXAMPLE>", "id=<CloudKey:ASIAIOSFODNN7EXAMPLE>,", "aws_secret_access_key = <CloudKey:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY>",
		`"SecretAccessKey": "<CloudKey:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY>"`, "key=<CloudKey:AIza" + strings.Repeat("a", 35) + ">",
		"<CloudKey:ghp_" + strings.Repeat("A1", 18) + ">", "<CloudKey:github_pat_" + strings.Repeat("A1", 41) + ">", "<CloudKey:glpat-" + strings.Repeat("x", 20) + ">",
		"<CloudKey:xoxb-123456789012-abcdefABCDEF>", "<CloudKey:sk_live_" + strings.Repeat("a1", 12) + ">",
		"https://<CloudKey:hooks.slack.com/services/T00000000/B00000000/" + strings.Repeat("X", 24) + ">",
		"AccountKey=<CloudKey:" + strings.Repeat("Ab", 43) + "==>;", "?sv=1&sig=<CloudKey:" + strings.Repeat("a", 43) + "%3D>&x",
		`"private_key": "<CloudKey:` + strings.ReplaceAll(keyPEM, "\n", `\n`) + `>\n"`, `"private_key_id": "<CloudKey:` + strings.Repeat("0a", 20) + `>"`,
		"AKIAIOSFODNN7EXAMPL", "AKIAIOSFODNN7EXAMPLEX", "xAKIAIOSFODNN7EXAMPLE", "sk_live_short", "ghp_short", "pk_live_" + strings.Repeat("a", 24), strings.Repeat("0a", 20), "sig=abc",
	},
	"PrivateKey": {
		"<PrivateKey:" + keyPEM + ">\nrest", "<PrivateKey:" + strings.ReplaceAll(keyPEM, "PRIVATE", "OPENSSH PRIVATE") + ">", `"<PrivateKey:` + strings.ReplaceAll(keyPEM, "\n", `\n`) + `>\n"`,
		"<PrivateKey:-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n" + keyBody + "-----END RSA PRIVATE KEY----->",
		"<PrivateKey:-----BEGIN PRIVATE KEY-----\n" + strings.TrimSpace(keyBody) + ">\n; cut",
		"<PrivateKey:PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nComment: x\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 1\nBBBB\nPrivate-MAC: 00ff> rest",
		"<PrivateKey:---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: \"x\"\n" + keyBody + "---- END SSH2 ENCRYPTED PRIVATE KEY ---->",
		"<PrivateKey:-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n" + keyBody + "=aaaa\n-----END PGP PRIVATE KEY BLOCK----->",
		"-----BEGIN PUBLIC KEY-----\n" + keyBody + "-----END PUBLIC KEY-----", "look for -----BEGIN PRIVATE KEY----- in it!", "--------------------", "-----BEGIN CERTIFICATE-----",
	},
	"IPAddress": {
		"<IPAddress:192.168.1.10>", "from <IPAddress:10.0.0.1>:8080", "<IPAddress:10.0.0.0>/8", "(<IPAddress:255.255.255.255>).", "<IPAddress:8.8.8.8>,<IPAddress:8.8.4.4>",
		"<IPAddress:2001:db8::1>", "[<IPAddress:::1>]:80", "<IPAddress:fe80::1>%eth0", "<IPAddress:2001:0db8:0000:0000:0000:ff00:0042:8329>", "<IPAddress:::ffff:192.0.2.1>",
		"<IPAddress:2001:db8::>", "at <IPAddress:fe80::1>: up",
		"256.1.1.1", "1.2.3", "1.2.3.4.5", "v1.2.3.4", "1.2.3.4a", "12:34:56", "aa:bb:cc:dd:ee:ff", "std::string", "a::b", "abc::def", "::", "1::int4", "'x'::date", "x::y::1",
	},
}

var unmark = strings.NewReplacer("<Email:", "", "<PaymentCard:", "", "<IBAN:", "", "<Phone:", "", "<SSN:", "", "<JWT:", "", "<CloudKey:", "", "<PrivateKey:", "", "<IPAddress:", "", ">", "")

// TestDetectors: each detector alone finds what is marked and nothing else.
func TestDetectors(t *testing.T) {
	for name, texts := range found {
		set := tagged(Detector(name))
		for _, want := range texts {
			value := unmark.Replace(want)
			got, n, null := set.Append(nil, []byte(value))
			if diff := cmp.Diff(want, string(got)); diff != "" || null {
				t.Errorf("%s in %q: -want +got:\n%s", name, value, diff)
			}
			if n != strings.Count(want, "<"+name+":") {
				t.Errorf("%s in %q: counts %d", name, value, n)
			}
			rule, is := set.Find([]byte(value))
			if rule != 0 || is != (n > 0) {
				t.Errorf("%s in %q: Find = %d, %t", name, value, rule, is)
			}
		}
	}
}

// TestTogether: with all detectors on, the text of each is found by some one.
func TestTogether(t *testing.T) {
	for name, texts := range found {
		for _, want := range texts {
			if !strings.Contains(want, "<") {
				continue
			}
			if _, n, _ := everyDetector.Append(nil, []byte(unmark.Replace(want))); n == 0 {
				t.Errorf("%s: nothing found in %q", name, want)
			}
		}
	}
}

// TestTokenWithoutEnd: what is longer than a finding can be is hidden to its end.
func TestTokenWithoutEnd(t *testing.T) {
	for name, value := range map[string]string{
		"JWT":        "a " + token64 + strings.Repeat("x", 3*MaxFinding),
		"PrivateKey": "a -----BEGIN PRIVATE KEY-----\n" + strings.Repeat(keyBody, 60),
	} {
		out, n, _ := everyDetector.Append(nil, []byte(value+"| rest"))
		if string(out) != "a [masked]| rest" || n != 1 {
			t.Errorf("%s: got %d findings in %d bytes: %.80q", name, n, len(out), out)
		}
		scanner := everyDetector.Scanner()
		var got []byte
		for chunk := []byte(value + "| rest"); len(chunk) > 0; {
			size := min(len(chunk), 1000)
			got = scanner.Append(got, chunk[:size])
			chunk = chunk[size:]
		}
		if got = scanner.Flush(got); string(got) != "a [masked]| rest" {
			t.Errorf("%s: streamed: %.80q", name, got)
		}
	}
}

func TestNull(t *testing.T) {
	set := New(Rule{Detector: SSN, Null: true}, Rule{Detector: Email})
	if out, n, null := set.Append([]byte("x"), []byte("a@example.com 123-45-6789")); !null || n != 2 || string(out) != "x" {
		t.Errorf("a finding of a rule with Null: %q, %d, %t", out, n, null)
	}
	if out, n, null := set.Append([]byte("x"), []byte("a@example.com")); null || n != 1 || string(out) != "x[masked]" {
		t.Errorf("another's finding: %q, %d, %t", out, n, null)
	}
	scanner := set.Scanner()
	if got := scanner.Flush(scanner.Append(nil, []byte("123-45-6789 "))); string(got) != "[masked] " {
		t.Errorf("a stream cannot become NULL: %q", got)
	}
}

// TestUnknownDetector: a name that this build does not know hides everything.
func TestUnknownDetector(t *testing.T) {
	set := New(Rule{Detector: Email}, Rule{Detector: "Passport"})
	if out, n, null := set.Append(nil, []byte("plain")); string(out) != "[masked]" || n != 1 || null {
		t.Errorf("Append = %q, %d, %t", out, n, null)
	}
	if rule, is := set.Find([]byte("plain")); rule != 1 || !is {
		t.Errorf("Find = %d, %t", rule, is)
	}
	scanner := set.Scanner()
	got := scanner.Flush(scanner.Append(scanner.Append(nil, []byte("a")), []byte("b")))
	if string(got) != "[masked]" {
		t.Errorf("streamed: %q", got)
	}
}

func TestNothingOn(t *testing.T) {
	if out, n, _ := New().Append(nil, []byte("a@example.com")); string(out) != "a@example.com" || n != 0 {
		t.Errorf("no rules: %q, %d", out, n)
	}
}
