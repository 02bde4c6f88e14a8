// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// assetsVariable names the folder of the binaries, as controller-runtime's envtest does.
const assetsVariable = "KUBEBUILDER_ASSETS"

// ErrNoAssets says that the control plane's binaries have not been obtained yet.
var ErrNoAssets = errors.New("no control plane binaries: run `make controlplane`")

// Assets returns the folder with etcd, etcdctl, etcdutl, kube-apiserver, kube-controller-manager and kubectl:
// $KUBEBUILDER_ASSETS, else what hack/controlplane/ensure.sh has obtained earlier.
func Assets(ctx context.Context) (string, error) {
	if dir := os.Getenv(assetsVariable); dir != "" {
		if _, err := os.Stat(filepath.Join(dir, "kube-apiserver")); err != nil {
			return "", fmt.Errorf("%w: %s=%q: %w", ErrNoAssets, assetsVariable, dir, err)
		}
		return dir, nil
	}
	script := filepath.Join(Root(), "hack", "controlplane", "ensure.sh")
	out, err := exec.CommandContext(ctx, script, "--path").Output()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoAssets, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Root returns the top folder of the work tree: the nearest one above the working directory
// that holds the product's go.mod, else the one this file was compiled from.
func Root() string {
	if dir, err := os.Getwd(); err == nil {
		for ; ; dir = filepath.Dir(dir) {
			mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err == nil && strings.Contains(string(mod), "\nmodule github.com/doorward/doorward\n") ||
				strings.HasPrefix(string(mod), "module github.com/doorward/doorward\n") {
				return dir
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}
