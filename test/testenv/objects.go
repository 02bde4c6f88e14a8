// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// fieldManager owns what the helpers here apply.
const fieldManager = "doorward-testenv"

// InstallCRDs applies the CustomResourceDefinitions found under the paths and returns when
// they are served.
func (e *Env) InstallCRDs(paths ...string) error {
	_, err := envtest.InstallCRDs(e.Direct, envtest.CRDInstallOptions{Paths: paths, ErrorIfPathMissing: true})
	if err != nil {
		return fmt.Errorf("cannot install the custom resource definitions: %w", err)
	}
	return nil
}

// Apply applies each file or folder as the admin, server-side; a folder with a
// kustomization.yaml is built first.
func (e *Env) Apply(ctx context.Context, paths ...string) error {
	for _, path := range paths {
		source := []string{"-R", "-f", path}
		if _, err := os.Stat(filepath.Join(path, "kustomization.yaml")); err == nil {
			source = []string{"-k", path}
		} else if !errors.Is(err, fs.ErrNotExist) && !isFile(path) {
			return fmt.Errorf("cannot read what to apply: %w", err)
		}
		args := append([]string{"apply", "--server-side", "--force-conflicts", "--field-manager", fieldManager}, source...)
		if _, err := e.Kubectl(ctx, e.Direct, args...); err != nil {
			return err
		}
	}
	return nil
}

// Kubectl runs the control plane's kubectl with this configuration and returns its standard
// output; the error holds standard error.
func (e *Env) Kubectl(ctx context.Context, config *rest.Config, args ...string) (string, error) {
	dir, err := os.MkdirTemp(e.Dir, "kubectl-")
	if err != nil {
		return "", fmt.Errorf("cannot make a folder for kubectl: %w", err)
	}
	defer os.RemoveAll(dir)
	name, err := filepath.Rel(e.Dir, filepath.Join(dir, "user"))
	if err != nil {
		return "", fmt.Errorf("cannot name a kubeconfig: %w", err)
	}
	kubeconfig, err := e.WriteKubeconfig(name, config)
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, filepath.Join(e.Assets, "kubectl"), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECACHEDIR="+filepath.Join(e.Dir, "kubectl-cache"))
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %q: %w: %s", args, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

func (e *Env) installCRDs(context.Context, Options) error {
	return e.InstallCRDs(filepath.Join(Root(), "config", "crd", "bases"))
}

func (e *Env) installAdmission(ctx context.Context, _ Options) error {
	return e.Apply(ctx, filepath.Join(Root(), "config", "admission"))
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
