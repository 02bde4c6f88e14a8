// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package idp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/login"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/identity/provider"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/script"
	"github.com/doorward/doorward/test/servers"
	"github.com/doorward/doorward/test/testcert"
	"github.com/doorward/doorward/test/testenv"
)

const (
	client   = "doorward"
	user     = "alice@shop.example"
	password = "correct horse battery staple"

	discovery = "/.well-known/openid-configuration"
)

func TestMain(m *testing.M) {
	script.Main(m, []func(genericiooptions.IOStreams) *cobra.Command{login.NewLogin, login.NewLogout, login.NewToken},
		map[string]func(){"browser": visit})
}

// visit is the program that login opens.
func visit() {
	err := func() error {
		authorities, err := os.ReadFile(os.Getenv("CA"))
		if err != nil {
			return err
		}
		browser, err := NewBrowser(authorities, user, password)
		if err != nil {
			return err
		}
		_, err = browser.Visit(context.Background(), os.Args[1])
		return err
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		os.Exit(1)
	}
}

// issuer is a running identity provider.
type issuer struct {
	url       string
	authority []byte
}

// start runs a provider, with more settings than all have; command makes its command line of
// the file of its settings, and it is ready when it answers at a path.
func start(t *testing.T, more map[string]any, ready string, command func(file string) []string) *issuer {
	t.Helper()
	dir := t.TempDir()
	ca, err := testcert.NewCA("the company's issuer")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(testcert.Request{CommonName: "issuer", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := pair.Write(dir, "issuer")
	if err != nil {
		t.Fatal(err)
	}
	address, err := proc.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{url: "https://" + address, authority: ca.PEM}
	all := map[string]any{
		"issuer": i.url, "listen": address, "certificate": certificate, "key": key, "client": client,
		"people": []map[string]any{{"email": user, "name": "alice", "password": password, "groups": []string{"analysts", "on-call"}}},
	}
	maps.Copy(all, more)
	settings, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "settings.json")
	if err := os.WriteFile(file, settings, 0o600); err != nil {
		t.Fatal(err)
	}
	browser, err := NewBrowser(ca.PEM, "", "")
	if err != nil {
		t.Fatal(err)
	}
	arguments := command(file)
	process, err := proc.StartReady(t.Context(), proc.Command{Path: arguments[0], Args: arguments[1:], Output: filepath.Join(dir, "issuer.log")}, patience,
		proc.Answers(&http.Client{Transport: browser.client.Transport}, i.url+ready))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := os.ReadFile(process.Output())
			t.Logf("the issuer says:\n%s", said)
		}
		_ = process.Stop()
	})
	return i
}

// TestDex and TestOIDCProvider: people log in at it by a browser and by a device, tokens
// are renewed, and a proxy takes each for who they are.
func TestDex(t *testing.T) {
	program, err := servers.Build(t.Context(), "idp/dex")
	if err != nil {
		t.Fatal(err)
	}
	start(t, nil, discovery, func(file string) []string { return []string{program, file} }).run(t)
}

func TestOIDCProvider(t *testing.T) {
	start(t, nil, discovery, node(t, "issuer.mjs")).run(t)
}

// node is the command line of a script of the folder of that name.
func node(t *testing.T, name string) func(file string) []string {
	t.Helper()
	dir := filepath.Join(testenv.Root(), "test", "idp", "node")
	if err := install(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("%v; make install-deps installs it", err)
	}
	return func(file string) []string { return []string{program, filepath.Join(dir, name), file} }
}

// install installs what package-lock.json has, unless it is there already.
func install(ctx context.Context, dir string) error {
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return err
	}
	// npm writes this file last.
	if done, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json")); err == nil && !done.ModTime().Before(lock.ModTime()) {
		return nil
	}
	command := exec.CommandContext(ctx, "npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts")
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot install the issuer; make install-deps installs npm: %w: %s", err, out)
	}
	return nil
}

// run goes through testdata.
func (i *issuer) run(t *testing.T) {
	t.Helper()
	pool := oidc.NewPool(t.Context())
	t.Cleanup(pool.Close)
	chain, err := provider.Verifiers(pool, nil)(t.Context(), []snapshot.IdentityProvider{{
		Name: "company", Type: provider.OIDC, OIDC: &snapshot.OIDC{
			IssuerURL: i.url, Audiences: []string{client}, CertificateAuthority: string(i.authority),
			Mapped: snapshot.Mapped{Username: snapshot.ClaimMapping{Claim: "email"}, Groups: &snapshot.ClaimMapping{Claim: "groups", Prefix: "company:"}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ISSUER", i.url)
			env.Setenv("CA", filepath.Join(env.WorkDir, "issuer.pem"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			env.Setenv("BROWSER", "browser")
			return os.WriteFile(filepath.Join(env.WorkDir, "issuer.pem"), i.authority, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"proven": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(proven(chain, strings.TrimSpace(ts.ReadFile(args[0]))))
			},
			"enter": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(i.enter(ts.MkAbs(args[0]))) },
			"stale": func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(stale(ts.Getenv("XDG_CONFIG_HOME"))) },
		},
	})
}

// proven checks that a token proves alice.
func proven(verifier identity.Verifier, token string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	got, err := verifier.Verify(ctx, identity.BearerToken(token))
	if err != nil {
		return err
	}
	want := []string{user, string(identity.Human), "company:analysts", "company:on-call"}
	if diff := cmp.Diff(want, append([]string{got.UserName, string(got.Kind)}, got.Groups...)); diff != "" {
		return fmt.Errorf("the token proves somebody else (-want +got):\n%s", diff)
	}
	return nil
}

// shown is what login prints of a device's code (RFC 8628).
var shown = regexp.MustCompile(`Visit (https://\S+) on any machine and enter the code:\s+(\S+)`)

// enter visits the page that a file names, and enters the code there.
func (i *issuer) enter(file string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		said, err := os.ReadFile(file)
		if err == nil {
			if found := shown.FindSubmatch(said); found != nil {
				browser, err := NewBrowser(i.authority, user, password)
				if err != nil {
					return err
				}
				browser.Type("user_code", string(found[2]))
				_, err = browser.Visit(ctx, string(found[1]))
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no code is shown: %w: %s", errors.Join(ctx.Err(), err), said)
		case <-tick.C:
		}
	}
}

// stale takes the tokens of all logins away, but for those that renew them.
func stale(config string) error {
	files, err := filepath.Glob(filepath.Join(config, "doorward", "logins", "*.json"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no logins: %w", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var kept map[string]any
		if err := json.Unmarshal(content, &kept); err != nil {
			return err
		}
		delete(kept, "idToken")
		if content, err = json.Marshal(kept); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
