// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// tokenSeconds is the life of a token, the longest that a proxy may have.
const tokenSeconds = 3600

// tokenRetry is the pause after a renewal that failed.
const tokenRetry = 5 * time.Second

// Token is the ServiceAccount token of an External proxy: it is read from its
// kubeconfig, or from the tokenFile that the kubeconfig names, and renewed there.
type Token struct {
	kubeconfig, file string
	log              logr.Logger

	mu    sync.Mutex // guards value
	value string
}

// LoadKubeconfig reads a kubeconfig. The token is nil where the kubeconfig
// proves the proxy by other means, which are then used as they are.
func LoadKubeconfig(path string, log logr.Logger) (*rest.Config, *Token, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read kubeconfig: %q: %w", path, err)
	}
	if config.BearerToken == "" && config.BearerTokenFile == "" {
		return config, nil, nil
	}
	t := &Token{kubeconfig: path, file: config.BearerTokenFile, log: log, value: config.BearerToken}
	if t.file != "" {
		if err := t.reread(); err != nil {
			return nil, nil, err
		}
	}
	config.BearerToken, config.BearerTokenFile = "", ""
	return config, t, nil
}

// Wrap makes requests carry the token that is current when they are sent.
func (t *Token) Wrap(next http.RoundTripper) http.RoundTripper { return bearer{token: t, next: next} }

type bearer struct {
	token *Token
	next  http.RoundTripper
}

// RoundTrip adds the token.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token.current())
	return b.next.RoundTrip(r)
}

// CloseIdleConnections is asked for by http.Client.
func (b bearer) CloseIdleConnections() {
	if closer, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// Expires is when the current token ends; zero where it does not say.
func (t *Token) Expires() time.Time {
	claims, err := claimsOf(t.current())
	if err != nil {
		return time.Time{}
	}
	return claims.expires()
}

func (t *Token) current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.value
}

// reread takes the token that the file holds now.
func (t *Token) reread() error {
	data, err := os.ReadFile(t.file)
	if err != nil {
		return fmt.Errorf("cannot read token: %w", err)
	}
	t.mu.Lock()
	t.value = strings.TrimSpace(string(data))
	t.mu.Unlock()
	return nil
}

// Run renews the token when a tenth of its life is over, until ctx ends: an API
// server that then goes away for most of an hour still knows the proxy.
func (t *Token) Run(ctx context.Context, client *Client) {
	for {
		claims, err := claimsOf(t.current())
		if err != nil {
			t.log.Error(err, "Cannot renew the token of the kubeconfig")
			return
		}
		if !sleep(ctx, time.Until(claims.due())) {
			return
		}
		for err := t.renew(ctx, client, claims); err != nil; err = t.renew(ctx, client, claims) {
			t.log.Error(err, "Cannot renew the token", "expires", claims.expires().Format(time.RFC3339))
			if !sleep(ctx, tokenRetry) {
				return
			}
			// The proxy may have been enrolled anew meanwhile.
			if t.changed() {
				break
			}
		}
	}
}

// changed takes the token that is on disk, where it is another.
func (t *Token) changed() bool {
	_, stored, err := LoadKubeconfig(t.kubeconfig, t.log)
	if err != nil || stored == nil || stored.value == t.current() {
		return false
	}
	t.mu.Lock()
	t.value = stored.value
	t.mu.Unlock()
	return true
}

// renew asks for a token of this proxy's own ServiceAccount and keeps it. A new
// token that cannot be stored is used all the same.
func (t *Token) renew(ctx context.Context, client *Client, claims tokenClaims) error {
	seconds := int64(tokenSeconds)
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := client.createToken(ctx, claims.namespace, claims.account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}})
	if err != nil {
		return fmt.Errorf("cannot get a token: %w", err)
	}
	t.mu.Lock()
	t.value = answer.Status.Token
	t.mu.Unlock()
	if err := t.store(answer.Status.Token); err != nil {
		t.log.Error(err, "Cannot store the renewed token: a restart needs it")
	}
	return nil
}

func (t *Token) store(token string) error {
	if t.file != "" {
		return writePrivate(t.file, []byte(token))
	}
	config, err := clientcmd.LoadFromFile(t.kubeconfig)
	if err != nil {
		return fmt.Errorf("cannot read kubeconfig: %w", err)
	}
	current := config.Contexts[config.CurrentContext]
	if current == nil || config.AuthInfos[current.AuthInfo] == nil {
		return fmt.Errorf("cannot update kubeconfig: %q has no user of its current context", t.kubeconfig)
	}
	config.AuthInfos[current.AuthInfo].Token = token
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("cannot encode kubeconfig: %w", err)
	}
	return writePrivate(t.kubeconfig, data)
}

// writePrivate replaces a file at once, readable by its owner only: whoever
// reads meanwhile sees the old content or the new.
func writePrivate(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-") // made with mode 0600
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", path, err)
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot write %q: %w", path, err), os.Remove(file.Name()))
	}
	return nil
}

// tokenClaims are what a proxy reads of its own token. The API server is who
// verifies it.
type tokenClaims struct {
	namespace, account string
	Subject            string `json:"sub"`
	IssuedAt           int64  `json:"iat"`
	Expires            int64  `json:"exp"`
}

func (c tokenClaims) expires() time.Time { return time.Unix(c.Expires, 0) }

func (c tokenClaims) due() time.Time { return time.Unix(c.IssuedAt+(c.Expires-c.IssuedAt)/10, 0) }

var errNoServiceAccount = errors.New("it is not the token of a ServiceAccount, so it is used until it ends")

func claimsOf(token string) (tokenClaims, error) {
	var claims tokenClaims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims, errNoServiceAccount
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return claims, errNoServiceAccount
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return claims, errNoServiceAccount
	}
	name, found := strings.CutPrefix(claims.Subject, "system:serviceaccount:")
	if claims.namespace, claims.account, _ = strings.Cut(name, ":"); !found || claims.account == "" || claims.Expires <= claims.IssuedAt {
		return claims, errNoServiceAccount
	}
	return claims, nil
}
