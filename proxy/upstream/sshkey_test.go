// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// rsaKey makes an RSA key once for each size, since that takes a while.
var rsaKey = func() func(bits int) *rsa.PrivateKey {
	var mu sync.Mutex
	made := map[int]*rsa.PrivateKey{}
	return func(bits int) *rsa.PrivateKey {
		mu.Lock()
		defer mu.Unlock()
		if made[bits] == nil {
			key, err := rsa.GenerateKey(rand.Reader, bits)
			if err != nil {
				panic(err)
			}
			made[bits] = key
		}
		return made[bits]
	}
}()

func edKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// openSSH is a key as ssh-keygen writes it.
func openSSH(t *testing.T, key crypto.PrivateKey, passphrase string) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "proxy@doorward")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return inPEM("PRIVATE KEY", der)
}

func ecKey(t *testing.T, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return inPEM("EC PRIVATE KEY", der)
}

// bodies are the lines of a key that nothing may show.
func bodies(content string) []string {
	var found []string
	for line := range strings.Lines(content) {
		if line = strings.TrimSpace(line); len(line) > 20 && !strings.Contains(line, "-----") && !strings.Contains(line, ":") {
			found = append(found, line)
		}
	}
	return found
}

// TestSSHKeys is checklist 49 for SSH's private keys, whatever the form and the
// fault: every form that ssh-keygen writes is taken, every other one says what to do.
func TestSSHKeys(t *testing.T) {
	ed := openSSH(t, edKey(t), "")
	public, err := ssh.NewPublicKey(edKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	dsaDER, err := asn1.Marshal(struct {
		Version       int
		P, Q, G, Y, X *big.Int
	}{0, big.NewInt(23), big.NewInt(11), big.NewInt(4), big.NewInt(8), big.NewInt(7)})
	if err != nil {
		t.Fatal(err)
	}
	//nolint:staticcheck // the old form is what is to be found
	legacy, err := x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey(3072)), []byte("x"), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason  string
		content string
		want    string // the type of the public key, or
		refused []string
	}{
		"Ed25519":        {reason: "what ssh-keygen makes", content: ed, want: ssh.KeyAlgoED25519},
		"Ed25519PKCS8":   {reason: "what openssl genpkey makes", content: pkcs8(t, edKey(t)), want: ssh.KeyAlgoED25519},
		"ECDSA":          {reason: "in SEC 1's form", content: ecKey(t, elliptic.P256()), want: ssh.KeyAlgoECDSA256},
		"RSA":            {reason: "in OpenSSH's form", content: openSSH(t, rsaKey(3072), ""), want: ssh.KeyAlgoRSA},
		"RSAPKCS1":       {reason: "what ssh-keygen -m PEM makes", content: inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey(3072))), want: ssh.KeyAlgoRSA},
		"Windows":        {reason: "line ends of an editor", content: strings.ReplaceAll(ed, "\n", "\r\n"), want: ssh.KeyAlgoED25519},
		"RSA2048":        {reason: "too short", content: pkcs8(t, rsaKey(2048)), refused: []string{"2048 bits", "3072", "ssh-keygen -t ed25519"}},
		"P224":           {reason: "a curve that SSH does not have", content: ecKey(t, elliptic.P224()), refused: []string{"ssh-keygen -t ed25519"}},
		"DSA":            {reason: "OpenSSH 10 has none", content: inPEM("DSA PRIVATE KEY", dsaDER), refused: []string{"DSA", "ssh-keygen -t ed25519"}},
		"Encrypted":      {reason: "nobody could type the passphrase", content: openSSH(t, edKey(t), "x"), refused: []string{"encrypted", "ssh-keygen -p -N"}},
		"EncryptedPEM":   {reason: "the same in the old form", content: string(pem.EncodeToMemory(legacy)), refused: []string{"encrypted", "ssh-keygen -p -N"}},
		"EncryptedPKCS8": {reason: "the same in PKCS #8", content: inPEM("ENCRYPTED PRIVATE KEY", []byte("any bytes that are long enough to look for")), refused: []string{"encrypted", "ssh-keygen -p -N"}},
		"PuTTY":          {reason: "another program's form", content: "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", refused: []string{"puttygen KEY.ppk"}},
		"Public":         {reason: "the wrong one of two files", content: string(ssh.MarshalAuthorizedKey(public)), refused: []string{"public key", ".pub"}},
		"Certificate":    {reason: "no key at all", content: inPEM("CERTIFICATE", []byte("any bytes that are long enough to look for")), refused: []string{"Ed25519, ECDSA or RSA"}},
		"Torn":           {reason: "a half is none", content: ed[:len(ed)/2], refused: []string{"OpenSSH's form or in PEM"}},
		"Two":            {reason: "nobody could tell which is meant", content: ed + openSSH(t, edKey(t), ""), refused: []string{"follows the private key"}},
		"Empty":          {reason: "an empty key is a mistake", content: "\n", refused: []string{"must not be empty"}},
	} {
		for _, key := range []string{fileSSHKey, fileSSHAuthority} {
			t.Run(name+"/"+key, func(t *testing.T) {
				files := credentialFiles()
				delete(files, filePassword)
				files[key] = tc.content
				got, err := fromBoth(t, files)
				checkHidden(t, bodies(tc.content), got, err)
				if len(tc.refused) > 0 {
					for _, text := range append(tc.refused, `"`+key+`"`) {
						if err == nil || !strings.Contains(err.Error(), text) {
							t.Errorf("%s: got %v, want it to say %s", tc.reason, err, text)
						}
					}
					return
				}
				if err != nil {
					t.Fatalf("%s: %v", tc.reason, err)
				}
				held := got.SSHKey
				if key == fileSSHAuthority {
					held = got.SSHAuthority
				}
				if held.none() || (*held.value).PublicKey().Type() != tc.want {
					t.Errorf("%s: it is not held as %s", tc.reason, tc.want)
				}
			})
		}
	}
}

// TestSSHCombinations: what may stand together, and what each missing one says.
func TestSSHCombinations(t *testing.T) {
	key, pair := openSSH(t, edKey(t), ""), clientPair(t)
	all := map[string]string{
		filePassword: canary, fileSSHKey: key, fileSSHAuthority: openSSH(t, edKey(t), ""), fileCertificate: string(pair.CertPEM), fileKey: string(pair.KeyPEM),
	}
	for name, tc := range map[string]struct {
		reason  string
		keys    []string
		refused string
		missing bool
	}{
		"Key":             {reason: "publickey", keys: []string{fileSSHKey}},
		"Authority":       {reason: "publickey, by certificate", keys: []string{fileSSHAuthority}},
		"Password":        {reason: "password", keys: []string{filePassword}},
		"KeyAndPassword":  {reason: "a target may ask for both", keys: []string{fileSSHKey, filePassword}},
		"AuthAndPassword": {reason: "a target may ask for both", keys: []string{fileSSHAuthority, filePassword}},
		"None":            {reason: "nothing proves the proxy", refused: `"ssh-privatekey" or "ssh-ca-key"`, missing: true},
		"KeyAndAuthority": {reason: "the target would name the caller by chance", keys: []string{fileSSHKey, fileSSHAuthority}, refused: `"ssh-privatekey" and "ssh-ca-key"`},
		"KeyAndTLS":       {reason: "one Connection has one protocol", keys: []string{fileSSHKey, fileCertificate, fileKey}, refused: `"tls.key" is for TLS`},
		"AuthorityAndTLS": {reason: "one Connection has one protocol", keys: []string{fileSSHAuthority, fileCertificate, fileKey}, refused: `"tls.key" is for TLS`},
	} {
		t.Run(name, func(t *testing.T) {
			files := credentialFiles()
			delete(files, filePassword)
			for _, k := range tc.keys {
				files[k] = all[k]
			}
			got, err := fromBoth(t, files)
			checkHidden(t, bodies(key), got, err)
			if tc.refused == "" && err != nil || tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.refused)
			}
			if tc.missing != errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: got %v, want fs.ErrNotExist: %t", tc.reason, err, tc.missing)
			}
		})
	}
}

// TestSSHKeyFileIsPrivate: a private key that others may read is none.
func TestSSHKeyFileIsPrivate(t *testing.T) {
	for _, key := range []string{fileSSHKey, fileSSHAuthority} {
		dir := t.TempDir()
		files := credentialFiles()
		files[key] = openSSH(t, edKey(t), "")
		writeFiles(t, dir, files)
		if err := os.Chmod(filepath.Join(dir, key), 0o640); err != nil {
			t.Fatal(err)
		}
		_, err := Dir{Path: dir, Private: true}.Get(t.Context(), orders(Target{"db-1.shop.svc", 5432}))
		if err == nil || !strings.Contains(err.Error(), "want 0600") || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: got %v, want a refusal that says the mode to set", key, err)
		}
	}
}

// fromBoth gets a credential from a directory and from memory, which must agree.
func fromBoth(t *testing.T, files map[string]string) (Secret, error) {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, files)
	keys := map[string][]byte{}
	for name, content := range files {
		keys[name] = []byte(content)
	}
	use := orders(Target{"db-1.shop.svc", 5432})
	got, err := Dir{Path: dir, Private: true}.Get(t.Context(), use)
	if _, other := NewKeys(keys).Get(t.Context(), use); (err == nil) != (other == nil) {
		t.Errorf("a directory says %v, the same keys in memory say %v", err, other)
	}
	return got, err
}

// checkHidden fails where any of some secrets shows in a value or an error.
func checkHidden(t *testing.T, secrets []string, values ...any) {
	t.Helper()
	var shown strings.Builder
	for _, value := range values {
		wrapped := struct{ hidden any }{value}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
			fmt.Fprintf(&shown, verb+"\n", value)
			fmt.Fprintf(&shown, verb+"\n", wrapped)
		}
		if encoded, err := json.Marshal(value); err == nil {
			shown.Write(encoded)
		}
	}
	text := shown.String()
	for _, secret := range secrets {
		if strings.Contains(text, secret) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", secret)) {
			t.Errorf("checklist 49: a secret is shown: %s", text)
		}
	}
}
