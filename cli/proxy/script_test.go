// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/proxy"
	"github.com/doorward/doorward/test/script"
	"github.com/doorward/doorward/test/testenv"
)

var env *testenv.Env

// suite starts an API server for the tests, and not for the plugin's processes.
type suite struct{ m *testing.M }

func (s suite) Run() int { return testenv.Run(s.m, testenv.Options{CRDs: true}, &env) }

func TestMain(m *testing.M) {
	script.Main(suite{m}, []func(genericiooptions.IOStreams) *cobra.Command{proxy.NewCommand}, nil)
}

// objects are what the manager makes, and two Connections.
const objects = `apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
- {apiVersion: v1, kind: Namespace, metadata: {name: doorward-system}}
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: doorward-orders-db, namespace: shop}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: doorward-trust-bundle, namespace: shop}, data: {ca.crt: "authorities\n"}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: doorward-snapshot-key, namespace: doorward-system}, data: {ed25519.pub: %s}}
- apiVersion: doorward.dev/v1alpha1
  kind: Connection
  metadata: {name: orders-db, namespace: shop}
  spec:
    protocol: postgres
    targets: [{host: db.example.com, port: 5432}]
    credential: {type: Secret, secret: {name: orders-db-credential}}
    options: {databases: [shop]}
    proxy: {placement: External, external: {serverNames: [proxy.example.com], port: 5432}}
- apiVersion: doorward.dev/v1alpha1
  kind: Connection
  metadata: {name: managed, namespace: shop}
  spec:
    protocol: postgres
    targets: [{host: db.example.com, port: 5432}]
    credential: {type: Secret, secret: {name: orders-db-credential}}
    options: {databases: [shop]}
    proxy: {placement: Managed}
    audit: {durability: Remote}
`

// TestScripts reads like an admin's terminal.
func TestScripts(t *testing.T) {
	manifest := filepath.Join(t.TempDir(), "objects.yaml")
	key := base64.StdEncoding.EncodeToString(make([]byte, ed25519.PublicKeySize))
	if err := os.WriteFile(manifest, []byte(fmt.Sprintf(objects, key)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := env.Apply(t.Context(), manifest); err != nil {
		t.Fatal(err)
	}
	admin, err := env.WriteKubeconfig("admin", env.RESTConfig)
	if err != nil {
		t.Fatal(err)
	}
	aliceConfig, err := env.AddUser("alice")
	if err != nil {
		t.Fatal(err)
	}
	alice, err := env.WriteKubeconfig("alice", aliceConfig)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("KUBECONFIG", admin)
			e.Setenv("ALICE", alice)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mode": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(private(ts.MkAbs(args[0]))) },
		},
	})
}

// private checks that a folder and what is in it is its owner's alone.
func private(folder string) error {
	return filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = fmt.Errorf("%s has mode %#o", path, info.Mode().Perm())
		}
		return err
	})
}
