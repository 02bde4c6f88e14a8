// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// loginKey stands for a key of the manager's, which nothing here looks into.
var (
	loginKey   = []byte("key")
	loginKeyID = func() string { sum := sha256.Sum256(loginKey); return hex.EncodeToString(sum[:]) }()
)

func withLogin(s *snapshot.Snapshot) {
	s.Login.Keys = [][]byte{loginKey}
	s.IdentityProviders = []snapshot.IdentityProvider{{Name: "corp", Type: "OIDC", Login: true, OIDC: &snapshot.OIDC{IssuerURL: "https://issuer.example"}}}
}

// TestCredentialStillIssued (checklist 36): what makes a gateway credential worth nothing
// ends the sessions that rest on it; those of a token go on.
func TestCredentialStillIssued(t *testing.T) {
	id := strings.Repeat("a", 32)
	owner := newWorld(t, allowing).caller
	for name, tc := range map[string]struct {
		reason string
		change func(*snapshot.Snapshot)
		says   string
	}{
		"Nothing": {"another one is revoked", func(s *snapshot.Snapshot) {
			s.Login.Revoked = []snapshot.Revoked{{ID: strings.Repeat("b", 32), Reason: "lost"}}
		}, ""},
		"Revoked": {"it is revoked", func(s *snapshot.Snapshot) {
			s.Login.Revoked = []snapshot.Revoked{{ID: id, Reason: "laptop lost"}}
		}, "was revoked: laptop lost"},
		"Owner": {"too many of the owner's are revoked", func(s *snapshot.Snapshot) {
			s.Login.Owners = []snapshot.RevokedOwner{{Digest: snapshot.OwnerDigest(owner.Issuer, owner.Subject), Reason: "too many"}}
		}, "too many"},
		"OtherOwner": {"so many of somebody else's", func(s *snapshot.Snapshot) {
			s.Login.Owners = []snapshot.RevokedOwner{{Digest: snapshot.OwnerDigest(owner.Issuer, owner.Subject+"2"), Reason: "too many"}}
		}, ""},
		"Closed": {"which are revoked cannot be told", func(s *snapshot.Snapshot) { s.Login.Closed = "too many" }, "too many"},
		"Key":    {"the key was replaced, and the former one is not trusted", func(s *snapshot.Snapshot) { s.Login.Keys = [][]byte{[]byte("other")} }, "is the manager's no more"},
		"NoLogin": {"the provider vouches no more", func(s *snapshot.Snapshot) {
			s.IdentityProviders = []snapshot.IdentityProvider{{Name: "corp", Type: "OIDC", OIDC: &snapshot.OIDC{IssuerURL: "https://issuer.example"}}}
		}, "has no spec.login"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			w.apply(allowing, withLogin)
			ofToken := w.authorize()
			w.caller.Credential = identity.Issued{ID: id, KeyID: loginKeyID, ProvenBy: "oidc"}
			proven := w.authenticate()
			ofCredential := w.authorize()
			w.apply(allowing, tc.change)
			cause := context.Cause(ofCredential.Context())
			if (cause != nil) != (tc.says != "") || cause != nil && (!errors.Is(cause, ErrRevoked) || !strings.Contains(cause.Error(), tc.says)) {
				t.Errorf("%s: the session ended with %v", tc.reason, cause)
			}
			if cause := context.Cause(ofToken.Context()); cause != nil {
				t.Errorf("the session of a token ended with %v", cause)
			}
			if _, err := proven.Authorize(t.Context()); (err != nil) != (tc.says != "") {
				t.Errorf("%s: who was proven before, and has no session yet: %v", tc.reason, err)
			}
			ofCredential.Close("")
			if event := w.last(record.SessionEnd); tc.says != "" && !strings.Contains(event.Reason, tc.says) {
				t.Errorf("on record is %q", event.Reason)
			}
		})
	}
}

// TestForeignCertificate: a certificate that the manager has not issued is no credential:
// nothing was tried, so nothing failed. Any other error of it is the end.
func TestForeignCertificate(t *testing.T) {
	w := newWorld(t, allowing)
	certificate := identity.ClientCertificate([]byte("x"))
	entry := w.entry()
	if _, shown, err := entry.AuthenticateCertificate(t.Context()); shown || err != nil {
		t.Errorf("nothing was shown: %t, %v", shown, err)
	}
	entry.certificate = &certificate
	before := len(w.log.Events())
	w.verifyErr = fmt.Errorf("%w: by somebody else", identity.ErrForeign)
	if _, shown, err := entry.AuthenticateCertificate(t.Context()); shown || err != nil || len(w.log.Events()) != before {
		t.Errorf("a foreign one: %t, %v, %d more on record", shown, err, len(w.log.Events())-before)
	}
	w.verifyErr = fmt.Errorf("%w: revoked", identity.ErrRejected)
	_, shown, err := entry.AuthenticateCertificate(t.Context())
	if !shown || reason(err) != ReasonCredential || !strings.Contains(AsRefusal(err).Message, "client certificate") {
		t.Errorf("one of the manager's: %t, %v", shown, err)
	}
	if event := w.last(record.AuthenticationFailed); !strings.Contains(event.Reason, "revoked") {
		t.Errorf("on record is %q", event.Reason)
	}
	w.verifyErr = nil
	if caller, shown, err := entry.AuthenticateCertificate(t.Context()); !shown || err != nil || caller.Principal().UserName != "alice" {
		t.Errorf("a good one: %t, %v", shown, err)
	}
}

// TestSSHCredential: a plain key of SSH, or a certificate of somebody else's, is no
// credential, and clients offer several: nothing was tried, so nothing failed. One of the
// manager's is judged, and its refusal is on record.
func TestSSHCredential(t *testing.T) {
	w := newWorld(t, allowing)
	key := identity.SSHPublicKey([]byte("x"))
	entry := w.entry()
	before := len(w.log.Events())
	w.verifyErr = fmt.Errorf("%w: by somebody else", identity.ErrForeign)
	if _, err := entry.Authenticate(t.Context(), key); !errors.Is(err, identity.ErrForeign) || len(w.log.Events()) != before {
		t.Errorf("a foreign one: %v, %d more on record", err, len(w.log.Events())-before)
	}
	w.verifyErr = fmt.Errorf("%w: revoked", identity.ErrRejected)
	_, err := entry.Authenticate(t.Context(), key)
	if reason(err) != ReasonCredential || !strings.Contains(AsRefusal(err).Message, "the SSH certificate was not accepted") || !strings.Contains(AsRefusal(err).Hint, "kubectl doorward login --ssh-key FILE") {
		t.Errorf("one of the manager's: %v", err)
	}
	if event := w.last(record.AuthenticationFailed); !strings.Contains(event.Reason, "revoked") {
		t.Errorf("on record is %q", event.Reason)
	}
	w.verifyErr = nil
	caller, err := entry.Authenticate(t.Context(), key)
	if err != nil || caller.Principal().UserName != "alice" {
		t.Fatalf("a good one: %v", err)
	}
	grant, err := caller.Authorize(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	grant.Close("")
}
