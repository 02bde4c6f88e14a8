// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

var (
	world *stack.Stack
	host  *stack.Host
)

func TestMain(m *testing.M) {
	os.Exit(stacktest.Run(m, &world, stack.Options{}, callers, server))
}

// server starts an SSH server with a proxy, a repository in the folder of its releases, and a
// folder of known_hosts for somebody else's.
func server(ctx context.Context) (err error) {
	if host, err = world.StartShopHost(ctx); err != nil {
		return err
	}
	releases := filepath.Join(host.Home(), "releases")
	// git does not read what is another user's.
	made, err := exec.CommandContext(ctx, "sh", "-ec", `
mkdir "$1"
git -c init.defaultBranch=main init -q "$1/site"
cd "$1/site"
echo hello > index.html
git add .
git -c user.name=test -c user.email=test@example.com commit -q -m first
chown -R --reference="$1/.." "$1"`, "sh", releases).CombinedOutput()
	if err != nil {
		return fmt.Errorf("no repository at the target: %w: %s", err, made)
	}
	return nil
}

// callers lets people read the authorities that sign proxies' certificates.
func callers(ctx context.Context) error {
	return world.Apply(ctx, `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: doorward-caller, namespace: shop}
rules:
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [doorward-trust-bundle]
  verbs: [get]
`, `apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: doorward-caller, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: doorward-caller}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: analysts}]
`)
}

// person writes what somebody has on his machine: a kubeconfig, and a token of the
// gateway's in a file. It returns the environment that goes with them.
func person(folder, name string, groups ...string) (map[string]string, error) {
	config, err := world.User(name, groups...)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := world.Control.WriteKubeconfig(name, config)
	if err != nil {
		return nil, err
	}
	if err := token(filepath.Join(folder, "token"), name, groups...); err != nil {
		return nil, err
	}
	return map[string]string{
		"KUBECONFIG": kubeconfig, "TOKEN": filepath.Join(folder, "token"), "XDG_CONFIG_HOME": filepath.Join(folder, "config"),
	}, nil
}

func token(path, name string, groups ...string) error {
	text, err := world.Issuer.Token(stack.GatewayAudience, name, groups...)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text+"\n"), 0o600)
}

// plugin runs the plugin on an admin's machine who is alice for the gateway.
func plugin(t *testing.T, args ...string) (string, error) {
	t.Helper()
	kubeconfig, err := world.Control.WriteKubeconfig("admin", world.Control.RESTConfig)
	stacktest.Must(t, err)
	return runPlugin(t, kubeconfig, args)
}

// pluginOf runs it as somebody who is the same for the API server.
func pluginOf(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	own, err := person(t.TempDir(), name, "analysts")
	stacktest.Must(t, err)
	return runPlugin(t, own["KUBECONFIG"], args)
}

func runPlugin(t *testing.T, kubeconfig string, args []string) (string, error) {
	t.Helper()
	bin, err := pgtest.BinDir()
	stacktest.Must(t, err)
	own, err := person(t.TempDir(), "alice", "analysts")
	stacktest.Must(t, err)
	environment := append(os.Environ(), "KUBECONFIG="+kubeconfig, "XDG_CONFIG_HOME="+own["XDG_CONFIG_HOME"],
		"PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	var out []byte
	for _, line := range [][]string{{"login", "--token-file", own["TOKEN"]}, args} {
		command := exec.CommandContext(t.Context(), world.Plugin(), line...)
		command.Env = environment
		if out, err = command.CombinedOutput(); err != nil {
			break
		}
	}
	return string(out), err
}

// TestScripts reads like alice's terminal: real plugin, psql, ssh, proxies and targets (checklist
// 6 and 47).
func TestScripts(t *testing.T) {
	bin, err := pgtest.BinDir()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			own, err := person(env.WorkDir, "alice", "analysts")
			if err != nil {
				return err
			}
			for name, value := range own {
				env.Setenv(name, value)
			}
			env.Setenv("PATH", filepath.Dir(world.Plugin())+string(filepath.ListSeparator)+bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			// What libpq would use for another server must not get in the way.
			env.Setenv("PGHOST", "other.example.com")
			env.Setenv("PGSSLMODE", "disable")
			env.Setenv("PGSERVICE", "other")
			env.Setenv("CA", world.CAPath)
			env.Setenv("OTHER", filepath.Join(env.WorkDir, "other.pem"))
			if err := os.WriteFile(env.Getenv("OTHER"), world.Issuer.CAPEM, 0o600); err != nil {
				return err
			}
			env.Setenv("PLUGIN", filepath.Dir(world.Plugin()))
			env.Setenv("ACCOUNT", host.Account)
			env.Setenv("SSHD", fmt.Sprintf("localhost:%d", host.Target.Port))
			env.Setenv("RELEASES", filepath.Join(host.Home(), "releases"))
			return knownHosts(env)
		},
	})
}

// knownHosts writes a file of known_hosts in which the proxy is somebody else, and a token that is
// too long for OpenSSH's client.
func knownHosts(env *testscript.Env) error {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return err
	}
	env.Setenv("OTHERHOSTS", filepath.Join(env.WorkDir, "known_hosts"))
	env.Setenv("LONGTOKEN", filepath.Join(env.WorkDir, "long"))
	groups := make([]string, 64)
	for i := range groups {
		groups[i] = fmt.Sprintf("group-of-many-%d", i)
	}
	return errors.Join(
		os.WriteFile(env.Getenv("OTHERHOSTS"), append([]byte("@cert-authority * "), ssh.MarshalAuthorizedKey(key)...), 0o600),
		token(env.Getenv("LONGTOKEN"), "alice", groups...))
}
