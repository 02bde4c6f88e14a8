// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// maxEntry bounds the file of a login, in bytes: two tokens and little else.
const maxEntry = 1 << 20

// entry is what is kept of one login: how it was made, so that it can be made again, and
// what came of it.
type entry struct {
	Issuer           string   `json:"issuer"`
	ClientID         string   `json:"clientID,omitempty"`
	ClientSecretFile string   `json:"clientSecretFile,omitempty"`
	Scopes           []string `json:"scopes,omitempty"`
	CAFile           string   `json:"caFile,omitempty"`
	// Portal says that Issuer is the manager's login portal, Provider where there the user
	// has an account, Credential what its token is called in the cluster.
	Portal     bool   `json:"portal,omitempty"`
	Provider   string `json:"provider,omitempty"`
	Credential string `json:"credential,omitempty"`
	// SSH is the certificate that came of the token, where one was needed.
	SSH *SSHIdentity `json:"ssh,omitempty"`
	// TokenFile and TokenCommand give a token that others renew; nothing of it is kept.
	TokenFile    string `json:"tokenFile,omitempty"`
	TokenCommand string `json:"tokenCommand,omitempty"`

	// Subject and Nonce are those of the first token: later ones must have the same.
	Subject string `json:"subject,omitempty"`
	Nonce   string `json:"nonce,omitempty"`
	// IDToken is what proxies are shown; a portal's is its own.
	IDToken      string `json:"idToken,omitempty"`
	RefreshToken string `json:"refreshToken,omitempty"`
}

// store is the folder of the logins, a file each.
type store struct{ dir string }

// openStore makes the folder where it is missing. Tokens are no cache: losing them means
// to log in again.
func openStore() (*store, error) {
	base, err := os.UserConfigDir()
	if err != nil {
		return nil, fmt.Errorf("no folder to keep logins in: %w", err)
	}
	s := &store{dir: filepath.Join(base, "doorward", "logins")}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("no folder to keep logins in: %w", err)
	}
	return s, private(s.dir, 0o700)
}

// private refuses what others may read or replace.
func private(path string, want fs.FileMode) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	// Windows keeps a user's folder private by other means.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("others may use your logins: %q has mode %#o: run `chmod %#o %s`", path, info.Mode().Perm(), want, path)
	}
	return nil
}

func (s *store) path(issuer, clientID string) string {
	sum := sha256.Sum256([]byte(issuer + "\n" + clientID))
	return filepath.Join(s.dir, hex.EncodeToString(sum[:16])+".json")
}

// lock keeps other commands from using the same refresh token, which an issuer may take
// once only. The file that is locked stays: removing it would let two hold it.
func (s *store) lock(issuer, clientID string) (unlock func(), err error) {
	unlock, err = lockedfile.MutexAt(strings.TrimSuffix(s.path(issuer, clientID), ".json") + ".lock").Lock()
	if err != nil {
		return nil, fmt.Errorf("cannot lock the login: %w", err)
	}
	return unlock, nil
}

// load reads a login; fs.ErrNotExist where there is none.
func (s *store) load(issuer, clientID string) (*entry, error) {
	return readEntry(s.path(issuer, clientID))
}

func readEntry(path string) (*entry, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if err := private(path, 0o600); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxEntry+1))
	if err != nil {
		return nil, err
	}
	e := &entry{}
	if err := json.Unmarshal(text, e); err != nil || len(text) > maxEntry || e.Issuer == "" {
		return nil, fmt.Errorf("not a login: %q: remove the file and log in again", path)
	}
	return e, nil
}

// save writes a login.
func (s *store) save(e *entry) error {
	text, err := json.Marshal(e) //nolint:gosec // tokens are what is kept, in a file of mode 0600
	if err != nil {
		return fmt.Errorf("cannot keep the login: %w", err)
	}
	if err := replace(s.path(e.Issuer, e.ClientID), text); err != nil {
		return fmt.Errorf("cannot keep the login: %w", err)
	}
	return nil
}

// replace writes a file, mode 0600, at once: whoever reads it has the old or the new one.
func replace(path string, text []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = temporary.Write(text)
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}

func (s *store) remove(e *entry) error {
	if err := os.Remove(s.path(e.Issuer, e.ClientID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot forget the login: %w", err)
	}
	return nil
}

// list reads all logins, by issuer.
func (s *store) list() ([]*entry, error) {
	paths, err := filepath.Glob(filepath.Join(s.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []*entry
	for _, path := range paths {
		e, err := readEntry(path)
		if errors.Is(err, fs.ErrNotExist) { // logged out meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return strings.Compare(a.name(), b.name()) })
	return all, nil
}

// name is how a login is called in messages.
func (e *entry) name() string {
	if e.ClientID == "" {
		return e.Issuer
	}
	return e.Issuer + " (client " + e.ClientID + ")"
}
