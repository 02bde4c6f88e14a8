// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/identity"
)

// maxToken bounds a token in bytes: a proxy takes no longer one.
const maxToken = identity.MaxTokenBytes

// commandGrace is how long a token's command has to end when it is told to.
const commandGrace = 5 * time.Second

// given is the token that somebody else renews: of a file, or of a command.
func (e *entry) given(ctx context.Context) (string, *claims, error) {
	var token, source string
	var err error
	if e.TokenFile != "" {
		source = fmt.Sprintf("file %q", e.TokenFile)
		token, err = readToken(e.TokenFile)
	} else {
		source = fmt.Sprintf("command %q", e.TokenCommand)
		token, err = runCommand(ctx, e.TokenCommand)
	}
	if err != nil {
		return "", nil, fmt.Errorf("cannot get the token: %w", err)
	}
	read, err := readClaims(token)
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("not a token: %s: %w", source, err)
	case e.Issuer != "" && read.Issuer != e.Issuer:
		return "", nil, fmt.Errorf("a token of another issuer: %s: want %q, got %q", source, e.Issuer, safe(read.Issuer))
	case !read.expiry().After(time.Now()):
		return "", nil, fmt.Errorf("the token has expired at %s: %s: whoever writes it has to renew it", read.until(), source)
	}
	return token, read, nil
}

// runCommand runs a command of the user's own in a shell, as he would.
func runCommand(ctx context.Context, line string) (string, error) {
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/c"
	}
	command := exec.CommandContext(ctx, shell, flag, line) //nolint:gosec // what the user has said at login
	command.WaitDelay = commandGrace
	command.Stdin, command.Stderr = os.Stdin, os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := command.Start(); err != nil {
		return "", fmt.Errorf("command %q: %w", line, err)
	}
	token, tokenErr := oneToken(out, fmt.Sprintf("command %q", line))
	// What it still has to say is not waited for.
	_ = out.Close()
	if err := command.Wait(); err != nil {
		return "", fmt.Errorf("command %q: %w", line, err)
	}
	return token, tokenErr
}

// oneToken reads a token and nothing else. No error holds it.
func oneToken(in io.Reader, source string) (string, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxToken+2))
	if err != nil {
		return "", fmt.Errorf("%s: %w", source, err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || len(token) > maxToken || strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return "", fmt.Errorf("%s: want one token of at most %d bytes and nothing else", source, maxToken)
	}
	return token, nil
}

// claims are what is shown of a token, and when it has to be renewed. Nobody has verified
// them here: the proxy does.
type claims struct {
	Issuer            string  `json:"iss"`
	Subject           string  `json:"sub"`
	PreferredUsername string  `json:"preferred_username"`
	Email             string  `json:"email"`
	Expiry            float64 `json:"exp"`
	// Proven are the claims that a token of the login portal was issued for.
	Proven json.RawMessage `json:"claims"`
}

// readClaims reads the claims of a compact JWS (RFC 7515).
func readClaims(token string) (*claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("want a JWT, of three parts, got %d", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, fmt.Errorf("want a JWT: its claims are not base64url: %w", err)
	}
	read := &claims{}
	if err := json.Unmarshal(payload, read); err != nil {
		return nil, fmt.Errorf("want a JWT: its claims are no JSON object of the usual types: %w", err)
	}
	if read.Issuer == "" || read.Expiry <= 0 {
		return nil, fmt.Errorf("want a JWT with the claims iss and exp")
	}
	if read.Issuer == portalIssuer {
		// Of other types than they mostly are, they name nobody.
		proven := &claims{}
		if err := json.Unmarshal(read.Proven, proven); err == nil {
			read.Subject, read.PreferredUsername, read.Email = proven.Subject, proven.PreferredUsername, proven.Email
		}
	}
	return read, nil
}

// maxExpiry is a time that can still be written.
const maxExpiry = 253402300799 // 9999-12-31T23:59:59Z

func (c *claims) expiry() time.Time { return time.Unix(int64(min(c.Expiry, maxExpiry)), 0).UTC() }

func (c *claims) until() string { return c.expiry().Format(time.RFC3339) }

// user is how the token's owner is called in messages.
func (c *claims) user() string {
	for _, name := range []string{c.PreferredUsername, c.Email, c.Subject} {
		if name != "" {
			return safe(name)
		}
	}
	return ""
}

// User is how the owner of a token is called, for protocols in which a client says a name.
// It is no proof of anything, and empty where the token has none.
func User(token string) string {
	read, err := readClaims(token)
	if err != nil {
		return ""
	}
	return read.user()
}
