// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package hostkey_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/hostkey"
	"github.com/doorward/doorward/test/sshhost"
)

func encode(t *testing.T, block *pem.Block, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

// TestParse: checklist 2. A proxy shows nothing but its own key and a certificate of it for
// hosts.
func TestParse(t *testing.T) {
	authority := sshhost.NewAuthority(t)
	key, other := sshhost.Key(t), sshhost.Key(t)
	certificate := authority.Certify(t, key, "localhost")
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, raw, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(curve, "")
	wrongType := encode(t, block, err)
	block, err = ssh.MarshalPrivateKeyWithPassphrase(raw, "", []byte("secret"))
	locked := encode(t, block, err)
	user, err := hostkey.ParseCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	user.CertType = ssh.UserCert
	tests := map[string]struct {
		reason           string
		key, certificate []byte
		want             string // the error; "" for none
	}{
		"Good":        {"What the manager writes.", key, certificate, ""},
		"NoKey":       {"There is none yet.", nil, certificate, "ssh-host-key: there is none"},
		"NoCert":      {"Nor this.", key, nil, "ssh-host-cert: there is none"},
		"Foreign":     {"A certificate of another key would fail at every client.", other, certificate, "not that of the key"},
		"Torn":        {"Half of it was written.", key[:len(key)/2], certificate, "ssh-host-key: no private key"},
		"TornCert":    {"Half of it was written.", key, certificate[:len(certificate)/2], "ssh-host-cert: no line"},
		"Locked":      {"There is nobody to type a passphrase.", locked, certificate, "without a passphrase"},
		"OtherKind":   {"All have one kind of key.", wrongType, certificate, "not an ed25519 key"},
		"Plain":       {"A public key is no certificate.", key, ssh.MarshalAuthorizedKey(user.Key), "no host certificate"},
		"ForUsers":    {"A certificate for people is none for a host.", key, ssh.MarshalAuthorizedKey(user), "no host certificate"},
		"TooLong":     {"Whoever writes the Secret does not fill the memory.", key, bytes.Repeat([]byte("a"), 65<<10), "ssh-host-cert: more than"},
		"TooLongKeys": {"Nor with the key.", bytes.Repeat([]byte("a"), 65<<10), certificate, "ssh-host-key: more than"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			keys, err := hostkey.Parse(tc.key, tc.certificate)
			switch {
			case tc.want == "" && err != nil:
				t.Fatalf("%s: %v", tc.reason, err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Fatalf("%s: %v, want %q", tc.reason, err, tc.want)
			case tc.want != "":
				return
			}
			if len(keys) != 2 || keys[0].PublicKey().Type() != ssh.CertAlgoED25519v01 || keys[1].PublicKey().Type() != ssh.KeyAlgoED25519 {
				t.Errorf("%s: want the one with the certificate, then the plain one: %v", tc.reason, keys)
			}
			if ends := hostkey.Expiry(keys); time.Until(ends) <= 0 || time.Until(ends) > time.Hour {
				t.Errorf("%s: it ends at %s", tc.reason, ends)
			}
		})
	}
	if ends := hostkey.Expiry(nil); !ends.IsZero() {
		t.Errorf("nothing ends at %s", ends)
	}
}
