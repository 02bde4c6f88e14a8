// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/doorward/doorward/hack/gobuild"
)

const (
	downloads        = "https://github.com/doorward/doorward/releases/download/"
	manifestTemplate = "hack/krew/doorward.yaml"
)

// pluginPlatform is what the template of the manifest knows of a platform.
type pluginPlatform struct {
	OS, Arch, URI, SHA256, Executable string
}

// plugin writes the manifest for krew, holds it against krew's rules, and has
// krew install the archive of each platform.
func (r *release) plugin(ctx context.Context) error {
	var platforms []pluginPlatform
	for _, target := range r.users {
		archive := r.pluginArchive(target)
		sum, err := checksum(archive)
		if err != nil {
			return err
		}
		platforms = append(platforms, pluginPlatform{
			OS: target.OS, Arch: target.Arch, Executable: target.Executable(pluginCommand), SHA256: sum,
			URI: downloads + "v" + r.source.Version + "/" + filepath.Base(archive),
		})
	}
	text, err := os.ReadFile(manifestTemplate)
	if err != nil {
		return err
	}
	manifest, err := renderPlugin(string(text), r.source.Version, platforms)
	if err != nil {
		return err
	}
	// krew takes the plugin's name from the file's.
	file := filepath.Join(r.output, "doorward.yaml")
	if err := os.WriteFile(file, manifest, 0o644); err != nil {
		return err
	}
	validate := exec.CommandContext(ctx, filepath.Join(r.tools, "validate-krew-manifest"), "-manifest", file, "-skip-install")
	if out, err := validate.CombinedOutput(); err != nil {
		return fmt.Errorf("krew refuses the manifest: %w: %s", err, strings.TrimSpace(string(out)))
	}
	for _, target := range r.users {
		if err := r.installPlugin(ctx, file, target); err != nil {
			return err
		}
	}
	return nil
}

func renderPlugin(text, version string, platforms []pluginPlatform) ([]byte, error) {
	parsed, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("cannot read the manifest's template: %w", err)
	}
	var manifest bytes.Buffer
	if err := parsed.Execute(&manifest, map[string]any{"Version": "v" + version, "Platforms": platforms}); err != nil {
		return nil, fmt.Errorf("cannot write the manifest: %w", err)
	}
	return manifest.Bytes(), nil
}

// installPlugin has krew check the archive's sum and find the files in it, as a
// machine of that platform would.
func (r *release) installPlugin(ctx context.Context, manifest string, target gobuild.Target) error {
	root := filepath.Join(r.work, "krew-"+target.OS+"-"+target.Arch)
	install := exec.CommandContext(ctx, filepath.Join(r.tools, "krew"), "install", "--manifest", manifest, "--archive", r.pluginArchive(target))
	install.Env = append(os.Environ(), "KREW_ROOT="+root, "KREW_OS="+target.OS, "KREW_ARCH="+target.Arch, "KREW_NO_UPGRADE_CHECK=1")
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("krew cannot install the plugin for %s/%s: %w: %s", target.OS, target.Arch, err, strings.TrimSpace(string(out)))
	}
	installed := filepath.Join(root, "store", "doorward", "v"+r.source.Version, target.Executable(pluginCommand))
	if _, err := os.Stat(installed); err != nil {
		return fmt.Errorf("krew has not installed the plugin for %s/%s: %w", target.OS, target.Arch, err)
	}
	return nil
}

// checksum is a file's SHA-256 in hexadecimal.
func checksum(name string) (string, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("cannot sum up %q: %w", name, err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(content)), nil
}

// checksums writes the sums of all files, in the form of sha256sum.
func (r *release) checksums(context.Context) error {
	entries, err := os.ReadDir(r.output)
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, entry := range entries {
		sum, err := checksum(filepath.Join(r.output, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&lines, "%s  %s\n", sum, entry.Name())
	}
	return os.WriteFile(filepath.Join(r.output, "checksums.txt"), []byte(lines.String()), 0o644)
}
