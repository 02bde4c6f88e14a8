// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package identityprovider

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

// TestDiscover: what is asked of an issuer, and what is said where it does not answer so.
func TestDiscover(t *testing.T) {
	const document, keys = `{"issuer": %q, "jwks_uri": "%s/keys"}`, `{"keys": [{"kty": "EC"}]}`
	tests := map[string]struct {
		reason   string
		document string // %[1]q and %[2]s are the issuer's URL
		keys     string
		foreign  bool // the authority is not given
		mirror   bool // the document is elsewhere
		want     string
		mismatch bool
	}{
		"Good":         {reason: "Document and keys are there.", document: document, keys: keys},
		"OtherIssuer":  {reason: "A token's iss would not match.", document: `{"issuer": "https://other.example", "jwks_uri": "%[2]s/keys"}`, keys: keys, want: "to the letter", mismatch: true},
		"Slash":        {reason: "Equal to the letter, or no token matches.", document: `{"issuer": "%[2]s/", "jwks_uri": "%[2]s/keys"}`, keys: keys, want: "to the letter", mismatch: true},
		"Mirror":       {reason: "The document is where discoveryURL says, and the issuer's all the same.", document: `{"issuer": "https://issuer.example", "jwks_uri": "%[2]s/keys"}`, keys: keys, mirror: true},
		"MirrorOther":  {reason: "A mirror of another issuer.", document: document, keys: keys, mirror: true, want: "to the letter", mismatch: true},
		"Closed":       {reason: "A cluster whose documents only ServiceAccounts may read.", document: "closed", keys: keys, want: "system:service-account-issuer-discovery"},
		"NoKeys":       {reason: "Nothing could be verified.", document: document, keys: `{"keys": []}`, want: "publishes none"},
		"PlainKeys":    {reason: "Keys over http could be anybody's.", document: `{"issuer": %[1]q, "jwks_uri": "http://127.0.0.1/keys"}`, keys: keys, want: "not an https address"},
		"Surroundings": {reason: "Checklist 25: an issuer does not have the manager ask its cloud.", document: `{"issuer": %[1]q, "jwks_uri": "https://169.254.169.254/keys"}`, keys: keys, want: "forbidden address"},
		"NotJSON":      {reason: "A login page is no document.", document: `<html>`, want: "something else than JSON"},
		"TooLarge":     {reason: "An issuer does not fill the manager's memory.", document: `"` + strings.Repeat("a", maxDocument) + `"`, want: "more than"},
		"Redirect":     {reason: "The address is the one that was written.", document: "redirect", want: "write the final address"},
		"Authority":    {reason: "An issuer that cannot be verified is none.", document: document, keys: keys, foreign: true, want: "certificate"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var url string
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/keys":
					fmt.Fprint(w, tc.keys)
				case tc.document == "closed":
					w.WriteHeader(http.StatusForbidden)
				case tc.document == "redirect":
					http.Redirect(w, r, "/elsewhere", http.StatusFound)
				case strings.Contains(tc.document, "%"):
					fmt.Fprintf(w, tc.document, url, url)
				default:
					fmt.Fprint(w, tc.document)
				}
			}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0) // a certificate is refused on purpose
			server.StartTLS()
			defer server.Close()
			url = server.URL
			issuer := v1alpha1.OIDCIssuer{URL: url}
			if tc.mirror {
				issuer.URL, issuer.DiscoveryURL = "https://issuer.example", url+"/mirror/openid-configuration"
			}
			if !tc.foreign {
				issuer.CertificateAuthority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
			}
			err := Discover(t.Context(), issuer)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s: Discover() = %v, want %q", tc.reason, err, tc.want)
			}
			if errors.Is(err, ErrIssuerMismatch) != tc.mismatch {
				t.Errorf("%s: mismatch %v, want %v", tc.reason, !tc.mismatch, tc.mismatch)
			}
		})
	}
}

// TestStatus: each outcome has its reason, and its remedy.
func TestStatus(t *testing.T) {
	accepted := kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "")
	tests := map[string]struct {
		reason  string
		scope   scope
		status  metav1.ConditionStatus
		because string
		message string
		ready   metav1.ConditionStatus
	}{
		"Discovered": {"The issuer answered.", scope{accepted: accepted, asked: true}, metav1.ConditionTrue, v1alpha1.ReasonDiscovered, "", metav1.ConditionTrue},
		"Mismatch": {
			"Another issuer answered.",
			scope{accepted: accepted, asked: true, answer: fmt.Errorf("%w: x", ErrIssuerMismatch)},
			metav1.ConditionFalse, v1alpha1.ReasonIssuerMismatch, "", metav1.ConditionFalse,
		},
		"Unreachable": {
			"Nobody answered.",
			scope{accepted: accepted, asked: true, answer: errors.New("cannot read discovery document")},
			metav1.ConditionFalse, v1alpha1.ReasonUnreachable, "issuer.url", metav1.ConditionFalse,
		},
		"Reviewed": {
			"Nobody reads keys where the API server is asked.",
			scope{accepted: accepted, reviewed: true},
			metav1.ConditionTrue, v1alpha1.ReasonNotNeeded, "TokenReview", metav1.ConditionTrue,
		},
		"NotAsked": {
			"A provider at fault is not asked.",
			scope{accepted: kit.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonUsernameOverlap, "overlap")},
			metav1.ConditionUnknown, v1alpha1.ReasonProgressing, "", metav1.ConditionFalse,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.scope.provider = &v1alpha1.IdentityProvider{}
			writeStatus(&tc.scope)
			conditions := tc.scope.provider.Status.Conditions
			reachable := meta.FindStatusCondition(conditions, v1alpha1.ConditionIssuerReachable)
			if reachable == nil || reachable.Status != tc.status || reachable.Reason != tc.because || !strings.Contains(reachable.Message, tc.message) {
				t.Errorf("%s: IssuerReachable is %+v", tc.reason, reachable)
			}
			if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready == nil || ready.Status != tc.ready {
				t.Errorf("%s: Ready is %+v, want %s", tc.reason, ready, tc.ready)
			}
		})
	}
}
