// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

var world *stack.Stack

func TestMain(m *testing.M) {
	os.Exit(stacktest.Run(m, &world, stack.Options{}, callers))
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

// TestScripts reads like alice's terminal: real plugin, psql, proxy and target.
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
			return nil
		},
	})
}
