// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	clipolicy "github.com/doorward/doorward/cli/policy"
	"github.com/doorward/doorward/proxy/review/wire"
)

// TestCanIByProxy: what a proxy answers is said as can-i says it, whatever it holds;
// the token goes to the proxy that was named, and nowhere else.
func TestCanIByProxy(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir()) // nobody is logged in
	var answer string
	code, tokens := http.StatusOK, 0
	proxy := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer canary-token" {
			tokens++
		}
		if code == http.StatusTemporaryRedirect {
			w.Header().Set("Location", wire.RulesPath)
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(answer))
	}))
	defer proxy.Close()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := write("ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})))
	token := write("token", "canary-token\n")
	base := []string{"can-i", "--proxy", proxy.Listener.Addr().String(), "--ca-file", ca, "--token-file", token, "-c", "orders-db"}
	operation := slices.Concat(base, []string{"select public.orders"})
	cases := map[string]struct {
		reason string
		args   []string
		code   int
		answer string
		ends   error // errors.ErrUnsupported stands for any other
		want   string
	}{
		"Yes":      {"with what is masked", operation, 200, `{"status":{"effect":"Allow","masks":[{"fields":["public.orders.card"]},{"detect":["Email"]}]}}`, nil, "yes\nMasked: public.orders.card, content: Email\n"},
		"No":       {"with a word where no rule speaks", operation, 200, `{"status":{"effect":"Deny","reason":"TargetRoleConflict"}}`, clipolicy.ErrDenied, "no - TargetRoleConflict\n"},
		"Approval": {"neither", operation, 200, `{"status":{"effect":"RequireApproval","message":"ask"}}`, clipolicy.ErrApprovalRequired, "after approval - ask\n"},
		"Unknown":  {"an effect of a later version is a no", operation, 200, `{"status":{"effect":"Perhaps"}}`, clipolicy.ErrDenied, "no\n"},
		"Nothing":  {"no answer is none", operation, 200, `{}`, errors.ErrUnsupported, "sent no answer"},
		"Garbage":  {"nor is another server's", operation, 200, `<html>`, errors.ErrUnsupported, "cannot read the proxy's answer"},
		"Terminal": {"checklist 37 and 48: what a proxy says does not steer the terminal", operation, 200, `{"status":{"effect":"Deny","message":"\u001b[2Kyes\nyes"}}`, clipolicy.ErrDenied, `no - \u{1b}[2Kyes\u{a}yes`},
		"Stale":    {"why there is none", operation, 503, `{"message":"the proxy lost contact","reason":"Unavailable"}`, errors.ErrUnsupported, "the proxy gives no answer: Unavailable: the proxy lost contact"},
		"Another":  {"a port may be another Connection's", operation, 404, `{"message":"this port answers for another Connection","reason":"NotFound"}`, errors.ErrUnsupported, "another proxy answers there: NotFound: this port answers for another Connection"},
		"Redirect": {"checklist 25: a token goes nowhere else", operation, 307, ``, errors.ErrUnsupported, "wants to send the question elsewhere"},
		"NoAccess": {"no session, no list", base, 200, `{"status":{"connect":"Deny","rules":[]}}`, clipolicy.ErrDenied, "no\n"},
		"List": {
			"the table, and what it does not say", base, 200,
			`{"status":{"connect":"Allow","rules":[{"effect":"Allow","actions":["select"]}],"restricted":true,"incomplete":true,"limits":{"rowsPerStatement":10}}}`, nil,
			"EFFECT  ACTIONS  RESOURCES  PROPERTIES\nAllow   select   *          -\nSome of this is refused by other rules: ask about an operation.\nThere is more that cannot be listed: ask about an operation.\nLimits: 10 rows per statement\n",
		},
		"Address":   {"a host has a port", []string{"can-i", "--proxy", "localhost", "--token-file", token}, 200, ``, errors.ErrUnsupported, "want host:port"},
		"NoToken":   {"there is nobody without a token", base[:5], 200, ``, errors.ErrUnsupported, "--token-file"},
		"Empty":     {"an empty file is no token", append(base[:6:6], ca), 200, ``, errors.ErrUnsupported, "want one token"},
		"Statement": {"a statement is not read here", append(base[:len(base):len(base)], "--statement", "SELECT 1"), 200, ``, errors.ErrUnsupported, "write accesses"},
		"Group":     {"nobody chooses his groups", append(base[:len(base):len(base)], "--group", "admins"), 200, ``, errors.ErrUnsupported, "--group is not for --proxy"},
		"Alone":     {"a token is for a proxy, and whose is not said", []string{"can-i", "--token-file", token}, 200, ``, errors.ErrUnsupported, "no Connection given"},
		"Never":     {"a token for nobody", []string{"can-i", "--proxy", "never", "--token-file", token}, 200, ``, errors.ErrUnsupported, "--proxy never asks none"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			code, answer, tokens = tc.code, tc.answer, 0
			out, err := call(t, tc.args...)
			switch {
			case errors.Is(tc.ends, errors.ErrUnsupported):
				if err == nil {
					t.Fatalf("%s: no error:\n%s", tc.reason, out)
				}
				out += err.Error()
				// What was not asked does not stand for a refusal: ls and can-i read policies then.
				if silent := (*clipolicy.Unanswered)(nil); tc.code == http.StatusNotFound && (!errors.As(err, &silent) || silent.Short != "not reached" || silent.Refused) {
					t.Errorf("%s: %+v", tc.reason, silent)
				}
			case !errors.Is(err, tc.ends) || (err != nil) != (tc.ends != nil):
				t.Fatalf("%s: %v, want %v\n%s", tc.reason, err, tc.ends, out)
			}
			if !strings.Contains(out, tc.want) {
				t.Errorf("%s: no %q in\n%s", tc.reason, tc.want, out)
			}
			if strings.Contains(out, "canary-token") || tokens > 1 {
				t.Errorf("%s: the token was sent %d times, and is shown in %s", tc.reason, tokens, out)
			}
		})
	}
}
