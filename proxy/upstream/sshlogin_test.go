// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// keyOf holds a private key as a credential does.
func keyOf(t *testing.T, key crypto.PrivateKey) SSHKey {
	t.Helper()
	held, err := NewSSHKey("ssh-privatekey", []byte(openSSH(t, key, "")))
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// login is one that a certificate can be made for.
func login(change ...func(*SSHLogin)) SSHLogin {
	now := time.Now()
	l := SSHLogin{User: "deploy", KeyID: "user=alice provider=corp session=data/web-1", From: now.Add(-time.Minute), Until: now.Add(time.Minute)}
	for _, c := range change {
		c(&l)
	}
	return l
}

// certificateOf is the certificate that a signer shows.
func certificateOf(t *testing.T, s ssh.Signer) *ssh.Certificate {
	t.Helper()
	certificate, ok := s.PublicKey().(*ssh.Certificate)
	if !ok {
		t.Fatalf("no certificate is shown but %s", s.PublicKey().Type())
	}
	return certificate
}

// TestSSHCertificate is checklist 2 from the other side: what the proxy certifies
// is for one name, for minutes, permits what was asked for, and is used once.
func TestSSHCertificate(t *testing.T) {
	for name, authority := range map[string]crypto.PrivateKey{"Ed25519": edKey(t), "RSA": rsaKey(3072)} {
		t.Run(name, func(t *testing.T) {
			secret := Secret{SSHAuthority: keyOf(t, authority)}
			want := login(func(l *SSHLogin) { l.Extensions = []string{"permit-pty", "permit-port-forwarding"} })
			first, err := secret.SSHSigner(want)
			if err != nil {
				t.Fatal(err)
			}
			got := certificateOf(t, first)
			if got.CertType != ssh.UserCert || got.KeyId != want.KeyID || !slices.Equal(got.ValidPrincipals, []string{"deploy"}) ||
				got.ValidAfter != uint64(want.From.Unix()) || got.ValidBefore != uint64(want.Until.Unix()) || got.Serial == 0 || len(got.CriticalOptions) != 0 {
				t.Errorf("certificate: %+v", got)
			}
			if permits := slices.Sorted(maps.Keys(got.Extensions)); !slices.Equal(permits, []string{"permit-port-forwarding", "permit-pty"}) {
				t.Errorf("it permits %q", permits)
			}
			if name == "RSA" && got.Signature.Format != ssh.KeyAlgoRSASHA512 {
				t.Errorf("checklist 3: signed with %s", got.Signature.Format)
			}
			checker := ssh.CertChecker{IsUserAuthority: func(key ssh.PublicKey) bool {
				return bytes.Equal(key.Marshal(), (*secret.SSHAuthority.value).PublicKey().Marshal())
			}}
			if err := checker.CheckCert("deploy", got); err != nil {
				t.Errorf("it does not hold: %v", err)
			}
			signature, err := first.Sign(rand.Reader, []byte("data"))
			if err != nil || got.Key.Verify([]byte("data"), signature) != nil {
				t.Errorf("its key does not sign: %v", err)
			}
			second, err := secret.SSHSigner(login())
			if err != nil {
				t.Fatal(err)
			}
			other := certificateOf(t, second)
			if other.Serial == got.Serial || bytes.Equal(other.Key.Marshal(), got.Key.Marshal()) || len(other.Extensions) != 0 {
				t.Errorf("the next session has the same key or serial, or is permitted %v", other.Extensions)
			}
		})
	}
}

// TestSSHLoginRefused (checklist 2, 48): a name that is several to those who split
// lists, or none, is not certified, nor is what sshd would not log as it is.
func TestSSHLoginRefused(t *testing.T) {
	secret := Secret{SSHAuthority: keyOf(t, edKey(t))}
	for name, tc := range map[string]struct {
		reason string
		change func(*SSHLogin)
		text   string
	}{
		"NoUser":      {"without a principal it is everybody's", func(l *SSHLogin) { l.User = "" }, `"username"`},
		"Comma":       {"it is two to who splits lists", func(l *SSHLogin) { l.User = "root,alice" }, "comma"},
		"NewLine":     {"it forges lines of logs", func(l *SSHLogin) { l.User = "alice\nroot" }, "white space"},
		"Blank":       {"it is two words in AuthorizedPrincipalsFile", func(l *SSHLogin) { l.User = "alice root" }, "white space"},
		"Bidi":        {"it shows as another name", func(l *SSHLogin) { l.User = "alice\u202etoor" }, "does not show"},
		"NUL":         {"it ends the name in C", func(l *SSHLogin) { l.User = "root\x00x" }, "does not show"},
		"NotUTF8":     {"no name", func(l *SSHLogin) { l.User = "a\xff" }, "does not show"},
		"Option":      {"programs take it for an option", func(l *SSHLogin) { l.User = "-oProxyCommand=x" }, "no - in front"},
		"LongUser":    {"sshd would cut the line", func(l *SSHLogin) { l.User = strings.Repeat("a", 129) }, "129 bytes"},
		"NoKeyID":     {"nobody is named", func(l *SSHLogin) { l.KeyID = "" }, "0 bytes"},
		"LongKeyID":   {"sshd would cut the line", func(l *SSHLogin) { l.KeyID = strings.Repeat("a", 641) }, "641 bytes"},
		"KeyIDEscape": {"it draws on a terminal", func(l *SSHLogin) { l.KeyID = "user=\x1b[2K" }, "printable ASCII"},
		"KeyIDQuote":  {"it ends the key id in the log", func(l *SSHLogin) { l.KeyID = `user="a" (serial 0)` }, "printable ASCII"},
		"Extension":   {"a typo permits nothing", func(l *SSHLogin) { l.Extensions = []string{"permit-ptty"} }, `"permit-ptty"`},
		"Backwards":   {"never valid", func(l *SSHLogin) { l.Until = l.From }, "valid from"},
		"Long":        {"it is for one handshake", func(l *SSHLogin) { l.Until = l.From.Add(time.Hour) }, "at most 30m"},
		"NoTimes":     {"valid for ever", func(l *SSHLogin) { l.From, l.Until = time.Time{}, time.Time{} }, "valid from"},
	} {
		t.Run(name, func(t *testing.T) {
			signer, err := secret.SSHSigner(login(tc.change))
			if signer != nil || err == nil || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%s: got %v, want an error with %s", tc.reason, err, tc.text)
			}
		})
	}
}

// TestSSHSignerOfKey: a stored key is used as it is, and never with SHA-1.
func TestSSHSignerOfKey(t *testing.T) {
	secret := Secret{SSHKey: keyOf(t, rsaKey(3072))}
	signer, err := secret.SSHSigner(login())
	if err != nil {
		t.Fatal(err)
	}
	full, ok := signer.(ssh.MultiAlgorithmSigner)
	if !ok || !slices.Equal(full.Algorithms(), []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}) {
		t.Fatalf("checklist 3: it may sign otherwise than with SHA-2: %t", ok)
	}
	if _, err := full.SignWithAlgorithm(rand.Reader, []byte("x"), ssh.KeyAlgoRSA); err == nil {
		t.Error("checklist 3: it signs with SHA-1")
	}
	if signature, err := full.Sign(rand.Reader, []byte("x")); err != nil || signature.Format != ssh.KeyAlgoRSASHA512 {
		t.Errorf("Sign: %v", err)
	}
	if _, err := secret.SSHSigner(login(func(l *SSHLogin) { l.User = "" })); err == nil {
		t.Error("a login without a name is signed for")
	}
	if signer, err := (&Secret{Password: NewPassword("x")}).SSHSigner(SSHLogin{}); signer != nil || err != nil {
		t.Errorf("a password is no signer: %v, %v", signer, err)
	}
}

// TestSSHSecretsNeverPrint (checklist 47, 49): neither the stored keys nor the
// session's own, whose holder prints it in x/crypto's own types.
func TestSSHSecretsNeverPrint(t *testing.T) {
	stored := edKey(t)
	// A formatter shows bytes as numbers, in hexadecimal, or as text.
	seen := func(key ed25519.PrivateKey) []string {
		seed := key.Seed()
		list := strings.Trim(fmt.Sprintf("%d", seed), "[]")
		return []string{fmt.Sprintf("%x", seed), fmt.Sprintf("%X", seed), list, string(seed), strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", seed), "[]byte{"), "}")}
	}
	plain, err := ssh.NewSignerFromKey(stored)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(fmt.Sprintf("%+v", plain), seen(stored)[2]) {
		t.Error("x/crypto's signer hides its key: this test shows nothing any more")
	}
	secret := Secret{SSHKey: keyOf(t, stored), SSHAuthority: keyOf(t, stored)}
	own, err := (&Secret{SSHKey: secret.SSHKey}).SSHSigner(login())
	if err != nil {
		t.Fatal(err)
	}
	certified, err := secret.SSHSigner(login())
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []any{secret, &secret, secret.SSHKey, own, certified} {
		checkHidden(t, seen(stored), value)
		var logged bytes.Buffer
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "value", value)
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "value", value)
		for _, text := range seen(stored) {
			if strings.Contains(logged.String(), text) {
				t.Errorf("checklist 49: a log shows the key: %s", logged.String())
			}
		}
	}
	for _, value := range []any{secret.SSHKey, own, certified} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(verb, value); got != "[redacted]" {
				t.Errorf("%s shows %s", verb, got)
			}
		}
	}
	if _, err := NewSSHKey("ssh-privatekey", []byte("-----BEGIN PRIVATE KEY-----\n"+canary)); err == nil || strings.Contains(err.Error(), canary) || errors.Unwrap(err) != nil {
		t.Errorf("got %v", err)
	}
}
