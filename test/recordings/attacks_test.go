// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/proxy/recordings/wire"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestUnproven: checklists 26 and 29: whoever is not proven by a token for the API server
// gets nothing, in whatever way the token is given.
func TestUnproven(t *testing.T) {
	own := session(t, world.Proxy(), true, "SELECT 'canary'")
	dora := token(t, "dora")
	given := func(values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header["Authorization"] = values }
	}
	cases := map[string]struct {
		reason string
		edit   func(*http.Request)
	}{
		"None":     {"no token", nil},
		"Expired":  {"a token whose time is over", given("Bearer " + tokenOf(t, issuer.Request{User: "dora", Audience: stack.KubernetesAudience, Lifetime: -time.Minute}))},
		"Audience": {"a token for the gateway", given("Bearer " + tokenOf(t, issuer.Request{User: "dora", Audience: stack.GatewayAudience}))},
		"Account":  {"a ServiceAccount's token for somebody else", given("Bearer " + accountToken(t, "https://elsewhere.example.com"))},
		"Garbage":  {"no token at all", given("Bearer x")},
		"Forged":   {"a token whose signature is another", given("Bearer " + dora[:len(dora)-8] + "AAAAAAAA")},
		"Basic":    {"another scheme", given("Basic ZG9yYTp4")},
		"Twice":    {"two tokens", given("Bearer "+dora, "Bearer "+dora)},
		"Cookie":   {"what a browser would send by itself", func(r *http.Request) { r.Header.Set("Cookie", "token="+dora) }},
		"Asserted": {"headers of a front proxy", func(r *http.Request) { r.Header.Set("X-Remote-User", "dora"); r.Header.Set("Impersonate-User", "dora") }},
		"Protocols": {"the way of a WebSocket in a browser", func(r *http.Request) {
			r.Header.Set("Sec-WebSocket-Protocol", "base64url.bearer.authorization.k8s.io."+dora)
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := ask(t, http.MethodGet, pathOf(own), "", tc.edit)
			if got.code != http.StatusUnauthorized || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") || strings.Contains(got.body, "canary") {
				t.Errorf("%s: %d %v %s", tc.reason, got.code, got.header, got.body)
			}
		})
	}
	if on := reads(t, "dora", own.Name); len(on) != 0 {
		t.Errorf("on record: %+v", on)
	}
}

// accountToken is a token of a ServiceAccount that is an auditor, for an audience.
func accountToken(t *testing.T, audiences ...string) string {
	t.Helper()
	clients, err := kubernetes.NewForConfig(world.Control.Direct)
	stacktest.Must(t, err)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, GenerateName: "reader-"}}
	stacktest.Create(t, world, account)
	made, err := clients.CoreV1().ServiceAccounts(stack.Namespace).CreateToken(t.Context(), account.Name,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}, metav1.CreateOptions{})
	stacktest.Must(t, err)
	return made.Status.Token
}

// TestForbidden: checklist 46: who may not read this very recording does not, whatever
// else they may; they are on record, and hear how it is granted.
func TestForbidden(t *testing.T) {
	own := session(t, world.Proxy(), true, "SELECT 'canary'")
	absent := wire.RecordingPath(stack.Namespace, "0000000000000000")
	cases := map[string]struct {
		reason, user, path, says string
		recorded                 bool
	}{
		"Caller":    {"whose session it is", "alice", pathOf(own), "--user='alice'", true},
		"Stranger":  {"who has no right", "petra", pathOf(own), "kubectl -n shop create rolebinding doorward-auditor-8a48abbd --clusterrole=doorward-auditor --user='petra'", true},
		"Elsewhere": {"an auditor of another namespace", "otto", pathOf(own), `cannot get auditsessions/recording \"` + own.Name + `\" of group doorward.dev in namespace \"shop\"`, true},
		"Absent":    {"of what is not there, the same is said", "petra", absent, "cannot get auditsessions/recording", false},
		"Namespace": {"an auditor of this namespace in another", "dora", wire.RecordingPath("elsewhere", own.Name), "in namespace", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := read(t, tc.path, token(t, tc.user))
			if got.code != http.StatusForbidden || !strings.Contains(got.body, tc.says) || strings.Contains(got.body, "canary") {
				t.Errorf("%s: %d %s", tc.reason, got.code, got.body)
			}
			if !tc.recorded {
				return
			}
			if d := awaitRead(t, tc.user, own.Name, 1)[0]; d.Decision.Effect != "Deny" || d.ReasonCode != "NotAllowed" || d.ClientAddress == "" {
				t.Errorf("%s: on record: %+v %+v", tc.reason, d, d.Decision)
			}
		})
	}
	if got := read(t, absent, token(t, "dora")); got.code != http.StatusNotFound {
		t.Errorf("what is not there, to an auditor: %d %s", got.code, got.body)
	}
}

// TestPaths: checklist 23: what was written is what is asked about: nothing is decoded or
// cleaned, and nothing else is served.
func TestPaths(t *testing.T) {
	own := session(t, world.Proxy(), true, "SELECT 'canary'")
	dora, path := token(t, "dora"), pathOf(own)
	cases := map[string]struct {
		method, path string
		edit         func(*http.Request)
		code         int
	}{
		"Dots":      {path: "/v1/namespaces/elsewhere/../shop/auditsessions/" + own.Name + "/recording", code: http.StatusNotFound},
		"DotsAfter": {path: "/v1/namespaces/shop/auditsessions/x/../" + own.Name + "/recording", code: http.StatusNotFound},
		"Encoded":   {path: "/v1/namespaces/shop/auditsessions/..%2f" + own.Name + "/recording", code: http.StatusNotFound},
		"Slash":     {path: "/v1/namespaces/shop%2fauditsessions/" + own.Name + "/recording", code: http.StatusNotFound},
		"Letter":    {path: strings.Replace(path, "recording", "r%65cording", 1), code: http.StatusNotFound},
		"Twice":     {path: "//v1/namespaces/shop/auditsessions/" + own.Name + "/recording", code: http.StatusNotFound},
		"Trailing":  {path: path + "/", code: http.StatusNotFound},
		"Parameter": {path: path + ";x", code: http.StatusNotFound},
		"Query":     {path: path + "?namespace=elsewhere", code: http.StatusNotFound},
		"Case":      {path: strings.Replace(path, "shop", "SHOP", 1), code: http.StatusNotFound},
		"Star":      {path: "/v1/namespaces/shop/auditsessions/*/recording", code: http.StatusNotFound},
		"Empty":     {path: "/v1/namespaces/shop/auditsessions//recording", code: http.StatusNotFound},
		"Newline":   {path: "/v1/namespaces/shop/auditsessions/" + own.Name + "%0a/recording", code: http.StatusNotFound},
		"Root":      {path: "/", code: http.StatusNotFound},
		"Profiles":  {path: "/debug/pprof/heap", code: http.StatusNotFound},
		"Metrics":   {path: "/metrics", code: http.StatusNotFound},
		"Post":      {method: http.MethodPost, path: path, code: http.StatusMethodNotAllowed},
		"Delete":    {method: http.MethodDelete, path: path, code: http.StatusMethodNotAllowed},
		"Options":   {method: http.MethodOptions, path: path, code: http.StatusMethodNotAllowed},
		"Origin":    {path: path, edit: func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") }, code: http.StatusForbidden},
		"Null":      {path: path, edit: func(r *http.Request) { r.Header.Set("Origin", "null") }, code: http.StatusForbidden},
		"Browser":   {path: path, edit: func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }, code: http.StatusForbidden},
		"WebSocket": {path: path, edit: func(r *http.Request) { r.Header.Set("Connection", "Upgrade"); r.Header.Set("Upgrade", "websocket") }, code: http.StatusBadRequest},
		"Body": {path: path, edit: func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1
		}, code: http.StatusBadRequest},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			method := tc.method
			if method == "" {
				method = http.MethodGet
			}
			got := ask(t, method, tc.path, dora, tc.edit)
			if got.code != tc.code || strings.Contains(got.body, "canary") || got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Location") != "" {
				t.Errorf("%d, want %d: %v %s", got.code, tc.code, got.header, got.body)
			}
		})
	}
	// Nothing that was written by hand is read as a second request (checklist 24).
	head := "GET " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + dora + "\r\n"
	for name, text := range map[string]string{
		"Pipelined":  head + "\r\n" + head + "\r\n",
		"BothLength": head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + head + "\r\n",
	} {
		if said := raw(t, text); strings.Count(said, "HTTP/1.1 200") > 1 {
			t.Errorf("%s: two answers: %s", name, said)
		}
	}
	if on := reads(t, "dora", own.Name); len(on) > 2 {
		t.Errorf("%d readings are on record", len(on))
	}
}

// TestSilent: checklist 4: who says nothing, or little, is gone soon, and keeps nobody out.
func TestSilent(t *testing.T) {
	own := session(t, world.Proxy(), true, "SELECT 1")
	for _, text := range []string{"", "GET / HTTP/1.1\r\nX: "} {
		raw(t, text) // returns when the other side has closed
	}
	if got := read(t, pathOf(own), token(t, "dora")); got.code != http.StatusOK {
		t.Errorf("%d %s", got.code, got.body)
	}
}

// TestSecretsOfReaders: checklist 47: a reader's token is in nothing that is kept.
func TestSecretsOfReaders(t *testing.T) {
	own := session(t, world.Proxy(), true, "SELECT 1")
	dora := token(t, "dora")
	if got := read(t, pathOf(own), dora); got.code != http.StatusOK || strings.Contains(got.body, dora) {
		t.Fatalf("%d %s", got.code, got.body)
	}
	awaitRead(t, "dora", own.Name, 1)
	signature := dora[strings.LastIndex(dora, ".")+1:]
	for _, dir := range []string{world.Logs(), world.Records(), world.Proxy().Spool} {
		stacktest.Must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a log's file that was made anew
			}
			if bytes.Contains(content, []byte(signature)) {
				t.Errorf("the reader's token is in %s", path)
			}
			return err
		}))
	}
}
