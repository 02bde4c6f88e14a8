// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"crypto"
	"io"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/doorward/doorward/test/oidctest"
)

// LoginAudience is the audience of tokens that are shown here to log in, and nowhere else.
const LoginAudience = "login"

// AllowLogin lets a client log people in by a browser (OpenID Connect Core 1.0, section
// 3.1): it has a secret, and the one redirect URI.
//
// People have no password. Who they are, they show by a token of this issuer for
// LoginAudience, which they paste into a form.
func (i *Issuer) AllowLogin(id, secret, redirect string) {
	verifier := oidc.NewVerifier(i.URL(), &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{i.key.Public()}},
		&oidc.Config{ClientID: LoginAudience, SupportedSigningAlgs: []string{oidc.ES256}})
	i.issuer.Allow(oidctest.Client{ID: id, Secret: secret, Redirect: redirect, Ask: func(w http.ResponseWriter, r *http.Request) map[string]any {
		shown := r.PostForm.Get("password")
		if shown == "" {
			ask(w, http.StatusOK, "")
			return nil
		}
		token, err := verifier.Verify(r.Context(), shown)
		var claims map[string]any
		if err == nil {
			err = token.Claims(&claims)
		}
		if err != nil {
			ask(w, http.StatusForbidden, `<p role="alert">That is no token for logging in here.</p>`)
			return nil
		}
		// These are of the token that was shown, not of the one that the client gets.
		for _, name := range []string{"iss", "aud", "exp", "iat", "nbf"} {
			delete(claims, name)
		}
		return claims
	}})
}

// ask answers with the form. fault is ours: nothing that somebody sent is on the page.
func ask(w http.ResponseWriter, status int, fault string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The client that went away learns nothing of the failure.
	_, _ = io.WriteString(w, `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Development issuer</title></head>
<body>
<h1>Who are you?</h1>
<p>Nobody has a password here. For instance, be Alice by what this prints in the playground's folder:</p>
<p><code>bin/playground token alice --groups analysts --audience `+LoginAudience+`</code></p>
`+fault+`
<form method="post" autocomplete="off">
<label for="password">Token</label> <input id="password" name="password" type="password" required>
<button type="submit">Log in</button>
</form>
</body>
</html>
`)
}
