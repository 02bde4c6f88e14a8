// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/proxy/witness"
)

// TestWitnessKeys: what the witness did not sign is not trusted, whichever of
// its connected keys is at hand.
func TestWitnessKeys(t *testing.T) {
	s := take(t)
	newKey := func() (note.Signer, string) {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		signer, verifier, err := witness.NewKey(private)
		if err != nil {
			t.Fatal(err)
		}
		return signer, verifier
	}
	old, oldVerifier := newKey()
	next, nextVerifier := newKey()
	chain, err := witness.Chain(nil).Rotate(nil, old, oldVerifier, time.Now())
	if err == nil {
		chain, err = chain.Rotate(old, next, nextVerifier, time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := chain.Encode()
	if err != nil {
		t.Fatal(err)
	}
	published := corev1.ConfigMap{Data: map[string]string{witness.KeysVerifier: nextVerifier, witness.KeysChain: string(encoded)}}
	published.APIVersion, published.Kind = "v1", "ConfigMap"
	dir := t.TempDir()
	file := func(name string, object any) string {
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keys := file("keys.yaml", published)

	log := s.witness
	log.Spec.ConnectionRef.Name, log.Spec.Instance = "orders", "orders-0"
	certificate := witness.Certificate{Log: log.Name, Key: log.Status.Keys[0], Namespace: "payments", Connection: "orders", Instance: "orders-0", Time: time.Now()}
	if log.Status.Certificate, err = certificate.Sign(old); err != nil {
		t.Fatal(err)
	}
	unsigned := file("unsigned.yaml", log)
	text, _, _ := strings.Cut(log.Status.Checkpoint, "\n\n")
	countersigned, err := note.Sign(&note.Note{Text: text + "\n"}, next)
	if err != nil {
		t.Fatal(err)
	}
	log.Status.Checkpoint += string(countersigned[strings.Index(string(countersigned), "\u2014"):])
	signed := file("signed.yaml", log)
	log.Spec.Instance = "orders-1"
	moved := file("moved.yaml", log)
	log.Status.Certificate = ""
	stripped := file("stripped.yaml", log)

	cases := map[string]struct {
		reason     string
		checkpoint string
		key        string
		fails      string
	}{
		"ConfigMap": {"the keys as the witness publishes them; the certificate is by an older one", signed, keys, ""},
		"NoKey":     {"without a key, the log's own signature counts", unsigned, "", ""},
		"Unsigned":  {"the witness has not signed this checkpoint", unsigned, keys, "not signed by the witness"},
		"OneKey":    {"a single key does not vouch for the older one's certificate", signed, nextVerifier, "not signed by its witness"},
		"Moved":     {"the certificate is of another instance", moved, keys, "has certified it for instance"},
		"Stripped":  {"without the certificate, nothing says whose log it is", stripped, keys, "not signed by its witness"},
		"NoChain":   {"a file that is none of all this", signed, signed, "witness key not usable"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			args := []string{"verify", s.dir, "--checkpoint", tc.checkpoint}
			if tc.key != "" {
				args = append(args, "--witness-key", tc.key)
			}
			out, _, err := call(t, args...)
			switch {
			case tc.fails == "" && (err != nil || !strings.Contains(out, "agrees with")):
				t.Errorf("%s: %v: %s", tc.reason, err, out)
			case tc.fails != "" && (err == nil || !strings.Contains(err.Error(), tc.fails)):
				t.Errorf("%s: %v, want %q", tc.reason, err, tc.fails)
			}
		})
	}
}
