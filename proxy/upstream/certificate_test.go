// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/test/testcert"
)

func clientPair(t *testing.T) testcert.Pair {
	t.Helper()
	ca, err := testcert.NewCA("clients")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(testcert.Request{CommonName: "shop_proxy"})
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// TestCertificate is checklist 49 for private keys: they come in with the
// credential, instead of a password or beside it, and are shown nowhere.
func TestCertificate(t *testing.T) {
	pair := clientPair(t)
	other := clientPair(t)
	secretLine := strings.Split(string(pair.KeyPEM), "\n")[1]
	with := func(set map[string]string, remove ...string) map[string]string {
		files := credentialFiles()
		for name, content := range set {
			files[name] = content
		}
		for _, name := range remove {
			delete(files, name)
		}
		return files
	}
	both := map[string]string{fileCertificate: string(pair.CertPEM), fileKey: string(pair.KeyPEM)}
	for name, tc := range map[string]struct {
		reason          string
		files           map[string]string
		password        string
		certificate     bool
		wantText        string
		wantIs          error
		mode            os.FileMode
		onlyWhereOnDisk bool
	}{
		"Both":         {reason: "a target may ask for either", files: with(both), password: canary, certificate: true},
		"Instead":      {reason: "a certificate alone will do", files: with(both, filePassword), certificate: true},
		"NoKey":        {reason: "a certificate proves nothing without its key", files: with(both, fileKey), wantText: `"tls.key"`, wantIs: fs.ErrNotExist},
		"NoCertOfKey":  {reason: "half a pair is a mistake", files: with(both, fileCertificate), wantText: `"tls.crt"`, wantIs: fs.ErrNotExist},
		"Neither":      {reason: "nothing proves the proxy", files: with(nil, filePassword), wantText: `"password"`, wantIs: fs.ErrNotExist},
		"AnothersKey":  {reason: "they do not belong together", files: with(map[string]string{fileCertificate: string(other.CertPEM), fileKey: string(pair.KeyPEM)}), wantText: "tls.crt"},
		"NotPEM":       {reason: "the key is not shown in the error", files: with(map[string]string{fileCertificate: string(pair.CertPEM), fileKey: secretLine}), wantText: "PEM"},
		"EmptyKey":     {reason: "an empty key is a mistake", files: with(map[string]string{fileCertificate: string(pair.CertPEM), fileKey: "\n"}), wantText: "must not be empty"},
		"ReadByOthers": {reason: "a private key that others may read is none", files: with(both), mode: 0o644, wantText: `"tls.key"`, onlyWhereOnDisk: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, tc.files)
			if tc.mode != 0 {
				if err := os.Chmod(filepath.Join(dir, fileKey), tc.mode); err != nil {
					t.Fatal(err)
				}
			}
			keys := map[string][]byte{}
			for name, content := range tc.files {
				keys[name] = []byte(content)
			}
			sources := map[string]CredentialSource{"directory": Dir{Path: dir, Private: true}}
			if !tc.onlyWhereOnDisk {
				sources["memory"] = NewKeys(keys)
			}
			for where, source := range sources {
				got, err := source.Get(t.Context(), orders(Target{"db-1.shop.svc", 5432}))
				shown := fmt.Sprintf("%v %+v %#v %s %x %v", got, got, got, got, got, err)
				encoded, _ := json.Marshal(got)
				if shown += string(encoded); strings.Contains(shown, secretLine) || strings.Contains(shown, canary) {
					t.Errorf("%s: %s: a secret is shown: %s", tc.reason, where, shown)
				}
				if tc.wantText != "" {
					if err == nil || !strings.Contains(err.Error(), tc.wantText) || tc.wantIs != nil && !errors.Is(err, tc.wantIs) {
						t.Errorf("%s: %s: got %v, want an error with %s", tc.reason, where, err, tc.wantText)
					}
					continue
				}
				if err != nil || got.Password.Reveal() != tc.password || (got.Certificate.Reveal() != nil) != tc.certificate {
					t.Errorf("%s: %s: got %v with certificate %t, %v", tc.reason, where, got, got.Certificate.Reveal() != nil, err)
				}
			}
		})
	}
}
