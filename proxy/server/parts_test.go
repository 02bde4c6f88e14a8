// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/proxy/upstream"
	"github.com/doorward/doorward/test/sshhost"
	"github.com/doorward/doorward/test/testcert"
)

func TestHealth(t *testing.T) {
	var missing error
	var said []string
	log := funcr.New(func(_, args string) { said = append(said, args) }, funcr.Options{})
	handler := Health(NewMetrics(), log, Check{Name: "log", Ready: func() error { return missing }}, Check{Name: "proxy", Ready: func() error { return nil }})
	get := func(path string) (int, string) {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		return answer.Code, answer.Body.String()
	}
	for path, want := range map[string]int{
		"/healthz": http.StatusOK, "/readyz": http.StatusOK, "/metrics": http.StatusOK,
		// checklist 51: nothing else is there.
		"/": http.StatusNotFound, "/debug/pprof/": http.StatusNotFound, "/debug/vars": http.StatusNotFound,
	} {
		if code, _ := get(path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	// Anybody may ask: who does learns what is missing, and nothing of the machine
	// (checklist 51). The reason is in the log, once.
	for n := range 20 {
		missing = fmt.Errorf("record log full: directory %q: no space left on device: %d records wait", "/var/lib/doorward", n)
		if code, body := get("/readyz"); code != http.StatusServiceUnavailable || body != "log\n" {
			t.Fatalf("/readyz: %d %q, want the check's name alone", code, body)
		}
	}
	if len(said) != 1 || !strings.Contains(said[0], "Not ready") || !strings.Contains(said[0], "/var/lib/doorward") || !strings.Contains(said[0], `"check"="log"`) {
		t.Errorf("said %q, want the reason once", said)
	}
	missing = errors.New("record log broken")
	get("/readyz")
	missing = nil
	if code, body := get("/readyz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("/readyz: %d %q", code, body)
	}
	get("/readyz")
	if len(said) != 3 || !strings.Contains(said[1], "record log broken") || !strings.Contains(said[2], "Ready again") {
		t.Errorf("said %q, want each change once", said)
	}
	missing = errors.New("disk full")
	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d: a restart would not free a disk", code)
	}
}

func TestServeHealthEndsWithItsContext(t *testing.T) {
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ServeHealth(ctx, listener, Health(NewMetrics(), logr.Discard())) }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/healthz", http.NoBody)
	must(t, err)
	client := &http.Client{Transport: &http.Transport{}}
	answer, err := client.Do(request)
	must(t, err)
	_, err = io.Copy(io.Discard, answer.Body)
	must(t, errors.Join(err, answer.Body.Close()))
	client.CloseIdleConnections()
	cancel()
	must(t, <-done)
}

func TestCertificateDir(t *testing.T) {
	ca, err := testcert.NewCA("test")
	must(t, err)
	dir := t.TempDir()
	source := &CertificateDir{Path: dir}
	if _, err := source.Certificate(); err == nil {
		t.Fatal("a certificate came from an empty directory")
	}
	write := func(name string) []byte {
		pair, err := ca.Issue(testcert.Request{CommonName: name})
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "tls.crt"), pair.CertPEM, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "tls.key"), pair.KeyPEM, 0o600))
		loaded, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
		must(t, err)
		return loaded.Certificate[0]
	}
	for _, name := range []string{"first", "second-with-a-longer-name"} {
		want := write(name)
		got, err := source.Certificate()
		must(t, err)
		if diff := cmp.Diff(want, got.Certificate[0]); diff != "" {
			t.Errorf("%s: another certificate is shown", name)
		}
	}
	before, err := source.Certificate()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "tls.crt"), []byte("half"), 0o600))
	after, err := TLS(source).GetCertificate(&tls.ClientHelloInfo{})
	if err != nil || after != before {
		t.Errorf("a pair that is being written: %v, want the former to stay", err)
	}
}

// TestCertificateDirHostKeys: a mounted serving Secret has the SSH host keys beside the
// certificate, and lacks them where the protocol uses none.
func TestCertificateDirHostKeys(t *testing.T) {
	dir, authority, key := t.TempDir(), sshhost.NewAuthority(t), sshhost.Key(t)
	source := &CertificateDir{Path: dir}
	if _, err := source.HostKeys(); err == nil || !strings.Contains(err.Error(), dir) {
		t.Fatalf("an empty directory: %v, want an error that names it", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "ssh-host-key"), key, 0o600))
	for _, names := range [][]string{{"localhost"}, {"localhost", "shop.data.svc"}} {
		must(t, os.WriteFile(filepath.Join(dir, "ssh-host-cert"), authority.Certify(t, key, names...), 0o600))
		keys, err := source.HostKeys()
		must(t, err)
		certificate, ok := keys[0].PublicKey().(*ssh.Certificate)
		if !ok || len(keys) != 2 {
			t.Fatalf("%d keys, want the certificate's first of two", len(keys))
		}
		if diff := cmp.Diff(names, certificate.ValidPrincipals); diff != "" {
			t.Errorf("another certificate is shown, -want +got:\n%s", diff)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "ssh-host-key"), sshhost.Key(t), 0o600))
	if keys, err := source.HostKeys(); err != nil || len(keys) != 2 {
		t.Errorf("a pair that is being written: %v, want the former to stay", err)
	}
	if _, err := source.Certificate(); err == nil {
		t.Error("a certificate came from nowhere")
	}
}

// shells is a protocol with host keys, words one without.
type (
	words  struct{ protocol.Protocol }
	shells struct{ words }
)

func (words) Name() string { return "words" }

func (words) NewHandler() protocol.Handler { return nil }

func (shells) Name() string { return "shells" }

func (shells) UsesHostKeys() bool { return true }

func TestUsesHostKeys(t *testing.T) {
	p := NewProtocols([]protocol.Protocol{words{}, shells{}})
	for _, tc := range []struct {
		reason, use string
		want        bool
	}{
		{"A protocol need not use them.", "words", false},
		{"One that does says so.", "shells", true},
		{"One that is unknown serves nobody.", "nobody's", false},
	} {
		_ = p.Use(tc.use) // the last is unknown
		if got := p.UsesHostKeys(); got != tc.want {
			t.Errorf("%s: %s: %t, want %t", tc.reason, tc.use, got, tc.want)
		}
	}
	if NewProtocols(nil).UsesHostKeys() {
		t.Error("host keys are asked for before there is a protocol")
	}
}

// source gives out one credential for one address.
type source struct{ address string }

func (s source) Get(_ context.Context, use upstream.Use) (upstream.Secret, error) {
	if use.Target.String() != s.address || use.Namespace != "data" || use.Name != "shop" {
		return upstream.Secret{}, upstream.ErrCredentialMisuse
	}
	return upstream.Secret{Username: "app", Password: upstream.NewPassword("canary-password")}, nil
}

func TestDialer(t *testing.T) {
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	port := int32(listener.Addr().(*net.TCPAddr).Port)
	s := &snapshot.Snapshot{
		Connection: snapshot.Connection{Namespace: "data", Name: "shop"},
		Targets:    []snapshot.Target{{Host: "127.0.0.1", Port: 1}, {Host: "127.0.0.1", Port: port}},
	}
	d := &Dialer{Credentials: func(*snapshot.Snapshot) (upstream.CredentialSource, error) {
		return source{listener.Addr().String()}, nil
	}}
	up, err := d.Dial(t.Context(), s)
	must(t, err)
	must(t, up.Conn.Close())
	if up.Target.Port != port || up.Credential.Username() != "app" || up.Credential.Password() != "canary-password" {
		t.Errorf("upstream: %+v", up.Target)
	}
	// checklist 49: the credential does not print.
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s", up.Credential, up.Credential, up.Credential, up.Credential), fmt.Sprintf("%+v %#v", up, up)} {
		if strings.Contains(shown, "canary-password") {
			t.Errorf("the password prints: %s", shown)
		}
	}
	d.Credentials = func(*snapshot.Snapshot) (upstream.CredentialSource, error) { return source{"elsewhere:1"}, nil }
	if _, err := d.Dial(t.Context(), s); !errors.Is(err, upstream.ErrCredentialMisuse) {
		t.Errorf("Dial() = %v, want the credential to refuse another address", err)
	}
}

func TestProtocolsRefuseUntilOneIsKnown(t *testing.T) {
	p := NewProtocols(nil)
	if err := p.Use("gopher"); err == nil {
		t.Error("an unknown protocol is served")
	}
	pl := newPlace(t, Options{}, p.Serve)
	ends(t, pl.dial(), 5*time.Second)
	pl.log.Await(t.Context(), t, "the refusal", func(e record.Event) bool { return e.Type == record.AuthenticationFailed })
}
