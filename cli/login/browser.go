// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/doorward/doorward/cli/audit"
)

// callbackPath is where the browser comes back to.
const callbackPath = "/callback"

// shutdownTime bounds how long the answer to the browser is waited for.
const shutdownTime = 2 * time.Second

// browse logs in by a browser on this machine, which brings the code to a port of ours
// (RFC 8252, section 7.3), with PKCE (RFC 7636), state and nonce.
func (p *provider) browse(ctx context.Context, say io.Writer, port int, open bool) error {
	if p.config.Endpoint.AuthURL == "" {
		return fmt.Errorf("issuer %q has no authorization_endpoint: use --device", p.entry.Issuer)
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("no port for the browser to come back to: %w: give another one with --redirect-port, or use --device", err)
	}
	p.config.RedirectURL = "http://" + listener.Addr().String() + callbackPath
	wait := &callback{
		host: listener.Addr().String(), state: rand.Text(), issuer: p.entry.Issuer, needsIssuer: p.issInAnswer, came: make(chan answer, 1),
	}
	nonce, verifier := rand.Text(), oauth2.GenerateVerifier()
	asks := []oauth2.AuthCodeOption{oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)}
	if p.entry.Provider != "" {
		asks = append(asks, oauth2.SetAuthURLParam("provider", p.entry.Provider))
	}
	target := p.config.AuthCodeURL(wait.state, asks...)

	server := &http.Server{Handler: wait, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, MaxHeaderBytes: 64 << 10}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Fprintf(say, "Log in with your browser. Where it does not open by itself, visit:\n\n  %s\n\n", audit.Safe(target))
	if open {
		if err := openBrowser(ctx, target); err != nil {
			fmt.Fprintf(say, "No browser was started (%v). On a machine without one, use --device.\n", err)
		}
	}
	var got answer
	select {
	case got = <-wait.came:
	case <-ctx.Done():
		got.err = errors.New("nobody has logged in: run the command again")
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(bounded); err != nil {
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) && got.err == nil {
		got.err = fmt.Errorf("cannot wait for the browser: %w", err)
	}
	if got.err != nil {
		return got.err
	}
	token, err := p.config.Exchange(p.with(ctx), got.code, oauth2.VerifierOption(verifier))
	if err != nil {
		return fmt.Errorf("the issuer gives no token: %w", shown(err))
	}
	return p.take(ctx, token, nonce)
}

// answer is what the browser brought.
type answer struct {
	code string
	err  error
}

// callback waits for the browser that comes with our state. Whatever else asks, such as a
// page that tries all ports, gets nothing and ends nothing.
type callback struct {
	host, state, issuer string
	needsIssuer         bool
	came                chan answer
}

func (c *callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch {
	case r.URL.Path != callbackPath:
		http.Error(w, "Nothing is here.", http.StatusNotFound)
		return
	case r.Method != http.MethodGet:
		http.Error(w, "Only GET.", http.StatusMethodNotAllowed)
		return
	// A name that was made to lead here is not ours.
	case r.Host != c.host, err != nil, len(query["state"]) != 1,
		subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(c.state)) != 1:
		http.Error(w, "This is not the login that was begun in the terminal.", http.StatusBadRequest)
		return
	}
	got := c.read(query)
	select {
	case c.came <- got:
	default:
		http.Error(w, "This login was used already.", http.StatusBadRequest)
		return
	}
	if got.err != nil {
		http.Error(w, "You are not logged in: the terminal says why. This window can be closed.", http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, "The login goes on in the terminal. This window can be closed.")
}

func (c *callback) read(query url.Values) answer {
	for _, name := range []string{"code", "iss", "error", "error_description"} {
		if len(query[name]) > 1 {
			return answer{err: fmt.Errorf("the issuer's answer has %q twice: log in again", name)}
		}
	}
	switch {
	// RFC 9207: an answer of another issuer must not be taken to this one.
	case query.Has("iss") && query.Get("iss") != c.issuer, c.needsIssuer && !query.Has("iss"):
		return answer{err: fmt.Errorf("the answer is of another issuer: want %q, got %q", c.issuer, safe(query.Get("iss")))}
	case query.Has("error"):
		text := query.Get("error")
		if more := query.Get("error_description"); more != "" {
			text += ": " + more
		}
		return answer{err: fmt.Errorf("the issuer refuses: %s", safe(text))}
	case query.Get("code") == "":
		return answer{err: errors.New("the issuer's answer holds no code: log in again")}
	}
	return answer{code: query.Get("code")}
}

// openBrowser starts the user's browser: what BROWSER names, else the system's.
func openBrowser(ctx context.Context, target string) error {
	line := strings.Fields(os.Getenv("BROWSER"))
	if len(line) == 0 {
		switch runtime.GOOS {
		case "darwin":
			line = []string{"open"}
		case "windows":
			line = []string{"rundll32", "url.dll,FileProtocolHandler"}
		default:
			line = []string{"xdg-open"}
		}
	}
	// A browser outlives the command.
	browser := exec.CommandContext(context.WithoutCancel(ctx), line[0], append(line[1:], target)...) //nolint:gosec // the user's own browser
	if err := browser.Start(); err != nil {
		return err
	}
	return browser.Process.Release()
}
