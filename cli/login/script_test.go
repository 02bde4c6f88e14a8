// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/login"
	"github.com/doorward/doorward/test/oidctest"
	"github.com/doorward/doorward/test/script"
)

// patience bounds whatever is waited for: it only says when to give up.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	script.Main(m, []func(genericiooptions.IOStreams) *cobra.Command{login.NewLogin, login.NewLogout, login.NewToken},
		map[string]func(){"browser": browser})
}

// browser visits a URL and goes where it is sent, as a person's would.
func browser() {
	pem, err := os.ReadFile(os.Getenv("CA"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	response, err := client.Get(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = response.Body.Close()
}

// world is an issuer of a script's own.
type world struct {
	*oidctest.Server
	mu     sync.Mutex
	client oidctest.Client
}

func start(t *testing.T) *world {
	t.Helper()
	server, err := oidctest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{Server: server, client: oidctest.Client{
		ID: "doorward", Refresh: true, Claims: map[string]any{"sub": "00u1", "preferred_username": "alice"}, Answer: map[string]string{},
	}}
	w.Allow(w.client)
	return w
}

// TestScripts reads like a terminal. A script has an issuer of its own, at $ISSUER.
func TestScripts(t *testing.T) {
	var mu sync.Mutex
	worlds := map[string]*world{}
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			w := start(t)
			mu.Lock()
			worlds[env.WorkDir] = w
			mu.Unlock()
			ca := filepath.Join(env.WorkDir, "issuer.pem")
			env.Setenv("ISSUER", w.URL())
			env.Setenv("CA", ca)
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			env.Setenv("BROWSER", "browser")
			return os.WriteFile(ca, w.CertificateAuthorityPEM, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"issuer": func(ts *testscript.TestScript, _ bool, args []string) {
				mu.Lock()
				w := worlds[ts.Getenv("WORK")]
				mu.Unlock()
				w.command(ts, args)
			},
			"mode": mode,
		},
	})
}

// command is what scripts do with the issuer.
func (w *world) command(ts *testscript.TestScript, args []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(args) == 0 {
		ts.Fatalf("usage: issuer claim|answer|discovery|client|approve|deny|outage|refresh-tokens")
	}
	value := func(text string) any {
		var v any
		ts.Check(json.Unmarshal([]byte(text), &v))
		return v
	}
	switch args[0] {
	case "claim": // NAME JSON
		w.client.Claims[args[1]] = value(args[2])
	case "unclaim": // NAME
		delete(w.client.Claims, args[1])
	case "unanswer": // NAME
		delete(w.client.Answer, args[1])
	case "lifetime": // DURATION
		d, err := time.ParseDuration(args[1])
		ts.Check(err)
		w.client.Claims["exp"] = time.Now().Add(d).Unix()
	case "answer": // NAME VALUE
		// What cannot be typed is written as in Go.
		text, err := strconv.Unquote(`"` + args[2] + `"`)
		ts.Check(err)
		w.client.Answer[args[1]] = text
	case "discovery": // NAME JSON
		w.SetDiscovery(args[1], value(args[2]))
	case "secret": // SECRET
		w.client.Secret = args[1]
	case "client": // ID
		w.client.ID = args[1]
	case "no-refresh":
		w.client.Refresh = false
	case "outage":
		w.SetOutage(args[1] == "on")
	case "approve", "deny":
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ts.Check(w.Decide(ctx, args[0] == "approve"))
		return
	case "refresh-tokens": // COUNT
		if got := strconv.Itoa(w.RefreshTokens()); got != args[1] {
			ts.Fatalf("%s refresh tokens are good, want %s", got, args[1])
		}
		return
	case "token": // FILE [NAME JSON]...
		claims := map[string]any{"sub": "build-7", "aud": "doorward"}
		for n := 2; n+1 < len(args); n += 2 {
			claims[args[n]] = value(args[n+1])
		}
		token, err := w.Token(claims)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(token+"\n"), 0o600))
		return
	default:
		ts.Fatalf("not a command of the issuer: %q", args[0])
	}
	w.Allow(w.client)
}

// mode checks that all files and folders below a folder are their owner's alone.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	if runtime.GOOS == "windows" {
		return
	}
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		// Nothing is in a lock.
		if err == nil && info.Mode().Perm()&0o077 != 0 && filepath.Ext(path) != ".lock" {
			err = fmt.Errorf("%s has mode %#o", path, info.Mode().Perm())
		}
		return err
	}))
}
