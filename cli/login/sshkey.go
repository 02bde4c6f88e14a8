// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// maxKeyFile bounds the file of a public key, in bytes.
const maxKeyFile = 16 << 10

// sshKey is a key of the user's: the files as ssh-keygen names them, of which the private
// one may be in an agent or in a security key instead.
type sshKey struct {
	private string
	public  ssh.PublicKey
	// fresh is the private key in PEM (OpenSSH, PROTOCOL.key), where there is no file yet.
	fresh []byte
}

func (k *sshKey) publicFile() string { return k.private + ".pub" }

// certificateFile is where ssh looks for the certificate of a key.
func (k *sshKey) certificateFile() string { return k.private + "-cert.pub" }

// openSSHKey reads the public key of a key that is named by either of its files, and makes
// a key where there is none. It writes nothing.
func openSSHKey(path string) (*sshKey, error) {
	if strings.HasSuffix(path, "-cert.pub") {
		return nil, fmt.Errorf("invalid --ssh-key: it is the file of a certificate: give that of the key, %q", strings.TrimSuffix(path, "-cert.pub"))
	}
	private, err := filepath.Abs(strings.TrimSuffix(path, ".pub"))
	if err != nil {
		return nil, fmt.Errorf("cannot name %q: %w", path, err)
	}
	k := &sshKey{private: private}
	text, err := readKey(k.publicFile())
	if err == nil {
		k.public, err = parseSSHKey(text)
		if err != nil {
			return nil, fmt.Errorf("invalid --ssh-key: file %q: %w", k.publicFile(), err)
		}
		return k, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the public key: %w", err)
	}
	switch _, err := os.Lstat(private); {
	case err == nil:
		return nil, fmt.Errorf("invalid --ssh-key: %q has no public key beside it: run `ssh-keygen -y -f %s > %s`", private, private, k.publicFile())
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cannot read the key: %w", err)
	}
	if err := k.make(); err != nil {
		return nil, err
	}
	return k, nil
}

func readKey(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxKeyFile+1))
}

// parseSSHKey reads the one line of a file id_*.pub.
func parseSSHKey(text []byte) (ssh.PublicKey, error) {
	line := bytes.TrimSpace(text)
	key, _, options, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil || len(options) > 0 || bytes.ContainsAny(line, "\r\n") || len(text) > maxKeyFile {
		return nil, errors.New("want one public key as ssh-keygen writes it, such as \"ssh-ed25519 AAAA... comment\"")
	}
	if _, is := key.(*ssh.Certificate); is {
		return nil, errors.New("want a public key, got a certificate")
	}
	return key, nil
}

// make makes an Ed25519 key.
func (k *sshKey) make() error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("cannot make a key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return fmt.Errorf("cannot make a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "doorward")
	if err != nil {
		return fmt.Errorf("cannot encode the key: %w", err)
	}
	k.public, k.fresh = signer.PublicKey(), pem.EncodeToMemory(block)
	return nil
}

// keep writes a certificate, which replaces a former one, and before it the key where it is
// fresh: a client that finds a certificate finds its key. No key is ever replaced.
func (k *sshKey) keep(certificate string) error {
	if k.fresh != nil {
		if err := os.MkdirAll(filepath.Dir(k.private), 0o700); err != nil {
			return fmt.Errorf("cannot keep the key: %w", err)
		}
		for _, file := range []struct {
			path string
			text []byte
		}{{k.private, k.fresh}, {k.publicFile(), ssh.MarshalAuthorizedKey(k.public)}} {
			if err := writeNew(file.path, file.text); err != nil {
				return fmt.Errorf("cannot keep the key: %w", err)
			}
		}
	}
	if err := replace(k.certificateFile(), []byte(certificate)); err != nil {
		return fmt.Errorf("cannot keep the certificate: %w", err)
	}
	return nil
}

// writeNew writes a file, mode 0600, that must not be there.
func writeNew(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

// check refuses what is not a certificate for this key.
func (k *sshKey) check(text string) error {
	found, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	certificate, is := found.(*ssh.Certificate)
	if err != nil || !is || len(bytes.TrimSpace(rest)) > 0 || certificate.CertType != ssh.UserCert || !bytes.Equal(certificate.Key.Marshal(), k.public.Marshal()) {
		return errors.New("the portal gives no certificate: its answer holds none for this key")
	}
	return nil
}
