// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package product is what the product's own image is made of.
package product

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/doorward/doorward/hack/gobuild"
	"github.com/doorward/doorward/hack/image/oci"
)

// Repository is the image's name without its tag.
const Repository = "ghcr.io/doorward/doorward"

// Commands are the binaries in the image, by their folders in cmd.
func Commands() []string { return []string{"manager", "proxy"} }

// Authorities are the certificates of public authorities, in PEM: what
// hack/image/roots of module root prints.
func Authorities(ctx context.Context, root string) ([]byte, error) {
	list := exec.CommandContext(ctx, "go", "run", ".")
	list.Dir = filepath.Join(root, "hack", "image", "roots")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot list the certificate authorities: %w", err)
	}
	return out, nil
}

// Assemble is the image of one platform. The folder binaries has what
// gobuild.Build built of Commands for it. Its content, paths and start are the
// Dockerfile's; a test compares the two.
func Assemble(target gobuild.Target, source gobuild.Source, binaries string, authorities []byte) (oci.Image, error) {
	certificates, err := oci.NewLayer([]oci.Entry{{Path: "/etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Content: authorities}}, source.Time)
	if err != nil {
		return oci.Image{}, err
	}
	var entries []oci.Entry
	for _, command := range Commands() {
		entries = append(entries, oci.Entry{Path: "/" + command, Mode: 0o755, Source: filepath.Join(binaries, command)})
	}
	commands, err := oci.NewLayer(entries, source.Time)
	if err != nil {
		return oci.Image{}, err
	}
	described := labels(source)
	annotations := maps.Clone(described)
	annotations["org.opencontainers.image.created"] = source.Time.UTC().Format(time.RFC3339)
	return oci.Image{
		OS: target.OS, Architecture: target.Arch, Layers: []*oci.Layer{certificates, commands},
		// A number, so that runAsNonRoot can be checked without a user database.
		Config:  oci.Config{User: "65532:65532", Entrypoint: []string{"/proxy"}, WorkingDir: "/", Labels: described},
		Created: source.Time, Annotations: annotations,
	}, nil
}

// labels describe the image, by the names of the OCI image specification,
// section "pre-defined annotation keys".
func labels(source gobuild.Source) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "doorward",
		"org.opencontainers.image.description": "Access gateway: the manager (/manager) and the proxy (/proxy).",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.source":      "https://github.com/doorward/doorward",
		"org.opencontainers.image.version":     source.Version,
		"org.opencontainers.image.revision":    source.Commit,
	}
}

// Write writes the archive of the images, under a temporary name first, so that
// a half of it is never taken for an image. It returns the digest that a
// registry knows the image by.
func Write(output, name string, images ...oci.Image) (digest string, err error) {
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return "", fmt.Errorf("cannot write image %q: %w", name, err)
	}
	file, err := os.CreateTemp(filepath.Dir(output), filepath.Base(output)+".*")
	if err != nil {
		return "", fmt.Errorf("cannot write image %q: %w", name, err)
	}
	digest, err = oci.Write(file, name, images...)
	if err = errors.Join(err, file.Chmod(0o644), file.Close()); err == nil {
		err = os.Rename(file.Name(), output)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("cannot write image %q: %w", name, err), os.Remove(file.Name()))
	}
	return digest, nil
}
