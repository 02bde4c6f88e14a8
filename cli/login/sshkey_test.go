// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// certificateOf is what a portal might answer.
func certificateOf(t *testing.T, key ssh.PublicKey, kind uint32) string {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate := &ssh.Certificate{Key: key, CertType: kind, ValidPrincipals: []string{"ann"}, ValidBefore: ssh.CertTimeInfinity}
	if err := certificate.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(certificate))
}

// TestSSHKey: a key is made where there is none, as ssh-keygen would make it; one that is
// there is used and never replaced, only its certificate is.
func TestSSHKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "id_doorward")
	fresh, err := openSSHKey(path)
	if err != nil || fresh.fresh == nil {
		t.Fatal(fresh, err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing is written before there is a certificate: %v", err)
	}
	first := certificateOf(t, fresh.public, ssh.UserCert)
	if err := errors.Join(fresh.check(first), fresh.keep(first)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".pub", path + "-cert.pub"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	private, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// OpenSSH makes the same public key of the private one.
	out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-y", "-f", path).CombinedOutput()
	if err != nil || string(out) != string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(fresh.public)))+" doorward\n" {
		t.Errorf("ssh-keygen reads %s, %v", out, err)
	}

	again, err := openSSHKey(path + ".pub")
	if err != nil || again.fresh != nil || !bytes.Equal(again.public.Marshal(), fresh.public.Marshal()) {
		t.Fatalf("the key that is there: %+v, %v", again, err)
	}
	second := certificateOf(t, again.public, ssh.UserCert)
	if err := again.keep(second); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path + "-cert.pub"); err != nil || string(got) != second {
		t.Errorf("the certificate is replaced: %s, %v", got, err)
	}
	if err := fresh.keep(first); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a key that was made meanwhile is not replaced: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, private) {
		t.Errorf("the key has changed: %v", err)
	}
	// The private one may be in an agent, or in a security key.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if elsewhere, err := openSSHKey(path); err != nil || elsewhere.fresh != nil {
		t.Errorf("a public key alone: %+v, %v", elsewhere, err)
	}

	other, err := openSSHKey(filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ reason, answer string }{
		"Other": {"it is for another key", certificateOf(t, other.public, ssh.UserCert)},
		"Host":  {"it is a host's", certificateOf(t, fresh.public, ssh.HostCert)},
		"Key":   {"it is no certificate", string(ssh.MarshalAuthorizedKey(fresh.public))},
		"Token": {"a portal of before gives a token", "a.b.c"},
		"Two":   {"it is more than one", strings.Repeat(second, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			if err := fresh.check(test.answer); err == nil {
				t.Errorf("%s: taken", test.reason)
			}
		})
	}
}
