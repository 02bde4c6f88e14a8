// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// canary is the password of all tests: no error and no formatter may show it.
const canary = "canary-5f2b9d"

func credentialFiles() map[string]string {
	return map[string]string{
		fileUsername:   "shop_proxy\n",
		filePassword:   canary + "\n",
		fileConnection: "shop/orders\n",
		fileAddresses:  "db-1.shop.svc:5432\n\nDB-2.shop.svc.:5432\n[2001:db8:0::1]:5432\n",
	}
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func orders(target Target) Use { return Use{Namespace: "shop", Name: "orders", Target: target} }

func TestDirGet(t *testing.T) {
	first := Target{"db-1.shop.svc", 5432}
	with := func(name, content string) map[string]string {
		files := credentialFiles()
		files[name] = content
		return files
	}
	without := func(name string) map[string]string {
		files := credentialFiles()
		delete(files, name)
		return files
	}
	cases := map[string]struct {
		reason string
		files  map[string]string
		use    Use
		want   error
		text   string
	}{
		"Named":           {reason: "the credential names connection and address", files: credentialFiles(), use: orders(first)},
		"SecondAddress":   {reason: "case and a trailing dot do not make another name", files: credentialFiles(), use: orders(Target{"db-2.shop.svc", 5432})},
		"IPv6Spelling":    {reason: "one IP address has many spellings", files: credentialFiles(), use: orders(Target{"2001:db8::1", 5432})},
		"BareName":        {reason: "a Secret is used in its own namespace, so the bare name will do", files: with(fileConnection, "orders"), use: orders(first)},
		"OtherConnection": {reason: "checklist 41: another Connection may not borrow it", files: credentialFiles(), use: Use{Namespace: "shop", Name: "evil", Target: first}, want: ErrCredentialMisuse, text: `"shop/evil"`},
		"OtherNamespace":  {reason: "checklist 41: nor one of the same name elsewhere", files: credentialFiles(), use: Use{Namespace: "evil", Name: "orders", Target: first}, want: ErrCredentialMisuse, text: `"evil/orders"`},
		"NoConnection":    {reason: "checklist 41: a credential that names nobody is for nobody", files: with(fileConnection, " \n"), use: orders(first), want: ErrCredentialMisuse},
		"EmptyUse":        {reason: "checklist 41: a use that names nobody gets nothing", files: with(fileConnection, ""), use: Use{Target: first}, want: ErrCredentialMisuse},
		"OtherHost":       {reason: "checklist 49: it is not sent to a host it does not name", files: credentialFiles(), use: orders(Target{"evil.example.com", 5432}), want: ErrCredentialMisuse, text: `"evil.example.com:5432"`},
		"OtherPort":       {reason: "checklist 49: nor to another port of the host", files: credentialFiles(), use: orders(Target{"db-1.shop.svc", 5433}), want: ErrCredentialMisuse, text: `"db-1.shop.svc:5432"`},
		"NoAddresses":     {reason: "checklist 49: no address means none, not any", files: with(fileAddresses, "\n"), use: orders(first), want: ErrCredentialMisuse},
		"BadAddress":      {reason: "an address without a port is an error that names it", files: with(fileAddresses, "db-1.shop.svc\n"), use: orders(first), want: ErrCredentialMisuse, text: `"db-1.shop.svc"`},
		"MissingPassword": {reason: "a missing key is named", files: without(filePassword), use: orders(first), want: fs.ErrNotExist, text: `"password"`},
		"MissingName":     {reason: "a missing binding is never an open one", files: without(fileConnection), use: orders(first), want: fs.ErrNotExist, text: `"connection"`},
		"MissingTargets":  {reason: "a missing binding is never an open one", files: without(fileAddresses), use: orders(first), want: fs.ErrNotExist, text: `"addresses"`},
		"EmptyPassword":   {reason: "an empty password would log in without one", files: with(filePassword, "\n"), use: orders(first), text: "must not be empty"},
		"NUL":             {reason: "a NUL byte ends the password in many protocols", files: with(filePassword, canary+"\x00tail"), use: orders(first), text: `"password"`},
		"TooLarge":        {reason: "reads are bounded", files: with(filePassword, strings.Repeat(canary, maxCredentialFile)), use: orders(first), text: "too large"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, tc.files)
			got, err := Dir{Path: dir, Private: true}.Get(t.Context(), tc.use)
			keys := map[string][]byte{}
			for name, content := range tc.files {
				keys[name] = []byte(content)
			}
			if inMemory, other := NewKeys(keys).Get(t.Context(), tc.use); len(tc.files[filePassword]) <= maxCredentialFile &&
				((other == nil) != (err == nil) || inMemory.Username != got.Username || inMemory.Password.Reveal() != got.Password.Reveal()) {
				t.Errorf("%s: a directory says %v, the same keys in memory say %v", tc.reason, err, other)
			} else if other != nil && strings.Contains(other.Error(), canary) {
				t.Errorf("checklist 49: the password is in the error: %v", other)
			}
			if tc.want == nil && tc.text == "" {
				if err != nil || got.Username != "shop_proxy" || got.Password.Reveal() != canary {
					t.Fatalf("%s: got %q, %v", tc.reason, got.Username, err)
				}
				return
			}
			if err == nil {
				t.Fatalf("%s: got the credential", tc.reason)
			}
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.reason, err, tc.want)
			}
			if !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%s: got %q, want it to name %s", tc.reason, err, tc.text)
			}
			if strings.Contains(err.Error(), canary) || got.Password.Reveal() != "" {
				t.Errorf("checklist 49: the password is in the error or the result: %v", err)
			}
		})
	}
}

func TestDirPrivate(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, credentialFiles())
	if err := os.Chmod(filepath.Join(dir, filePassword), 0o640); err != nil {
		t.Fatal(err)
	}
	use := orders(Target{"db-1.shop.svc", 5432})
	if _, err := (Dir{Path: dir, Private: true}).Get(t.Context(), use); err == nil || !strings.Contains(err.Error(), "want 0600") {
		t.Errorf("Get = %v, want a refusal that says the mode to set", err)
	}
	if _, err := (Dir{Path: dir}).Get(t.Context(), use); err != nil {
		t.Errorf("Get = %v: a mounted Secret is group readable", err)
	}
}

// mountVersion writes a directory the way a kubelet does: files are links
// through "..data", which is a link to the version in force.
func mountVersion(t *testing.T, dir, version string, files map[string]string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, filepath.Join(dir, version), files)
	next := filepath.Join(dir, "..data_tmp")
	if err := os.Symlink(version, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	for name := range files {
		err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
}

func TestDirMountedSecretRotates(t *testing.T) {
	dir := t.TempDir()
	use := orders(Target{"db-1.shop.svc", 5432})
	mountVersion(t, dir, "..2026_01_01", credentialFiles())
	if got, err := (Dir{Path: dir}).Get(t.Context(), use); err != nil || got.Password.Reveal() != canary {
		t.Fatalf("Get = %v", err)
	}
	rotated := maps.Clone(credentialFiles())
	rotated[fileUsername], rotated[filePassword] = "next", "rotated"
	mountVersion(t, dir, "..2026_01_02", rotated)
	got, err := Dir{Path: dir}.Get(t.Context(), use)
	if err != nil || got.Username != "next" || got.Password.Reveal() != "rotated" {
		t.Errorf("Get = %q, %v, want the rotated credential for the next session", got.Username, err)
	}
}

func TestDirStaysInside(t *testing.T) {
	outside := t.TempDir()
	writeFiles(t, outside, map[string]string{"secret": canary})
	dir := t.TempDir()
	files := credentialFiles()
	delete(files, filePassword)
	writeFiles(t, dir, files)
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, filePassword)); err != nil {
		t.Fatal(err)
	}
	if _, err := (Dir{Path: dir}).Get(t.Context(), orders(Target{"db-1.shop.svc", 5432})); err == nil {
		t.Error("a link that leaves the directory was followed")
	}
}

func TestDirEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Dir{Path: t.TempDir()}).Get(ctx, Use{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Get = %v, want the context's error", err)
	}
}

// TestPasswordNeverPrints (checklist 49, 47).
func TestPasswordNeverPrints(t *testing.T) {
	secret := Secret{Username: "u", Password: NewPassword(canary)}
	encoded, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{string(encoded), secret.Password.String(), secret.Password.GoString()}
	hidden := struct {
		secret Secret
		keys   Keys
	}{secret, NewKeys(map[string][]byte{filePassword: []byte(canary)})}
	shown = append(shown, hidden.keys.String(), hidden.keys.GoString())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, &secret), fmt.Sprintf(verb, hidden), fmt.Sprintf(verb, secret.Password))
	}
	for _, text := range shown {
		if strings.Contains(text, canary) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", canary)) {
			t.Errorf("the password shows: %s", text)
		}
	}
}
