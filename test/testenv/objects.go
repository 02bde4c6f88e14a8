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
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
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

func (e *Env) installAdmission(ctx context.Context, options Options) error {
	if err := e.Apply(ctx, filepath.Join(Root(), "config", "admission")); err != nil || !options.CRDs {
		return err
	}
	return e.awaitAdmission(ctx)
}

// enforceTimeout bounds how long the API server may take to enforce what was applied.
const enforceTimeout = time.Minute

// awaitAdmission waits until a request in another's name is refused by the policy of its
// creation, which is asked after the policies that mutate, for whose sake the API server
// must know the schema.
func (e *Env) awaitAdmission(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, enforceTimeout)
	defer cancel()
	c, err := client.New(e.Direct, client.Options{})
	if err != nil {
		return fmt.Errorf("cannot make a client: %w", err)
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		forged := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "doorward.dev/v1alpha1", "kind": "ApprovalRequest",
			"metadata": map[string]any{"namespace": "default", "generateName": "forged-"},
			"spec": map[string]any{
				"connectionRef": map[string]any{"name": "forged"}, "scope": "Session", "requester": map[string]any{"username": "forged"},
				"session": map[string]any{
					"reason": "forged", "durationSeconds": 60,
					"rules": []any{map[string]any{"kind": "AccessPolicy", "policy": "forged", "rule": "forged"}},
				},
				"decisions": []any{},
			},
		}}
		err := c.Create(ctx, forged, client.DryRunAll)
		if err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'doorward-approvalrequest-create'") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the admission policies are not in force: a forged request came to: %w", err)
		case <-ticker.C:
		}
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
