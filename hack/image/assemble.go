// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"

	"github.com/doorward/doorward/hack/gobuild"
	"github.com/doorward/doorward/hack/image/oci"
)

// assemble is the image of one platform. Its content, paths and start are the
// Dockerfile's; a test compares the two.
func assemble(target gobuild.Target, source gobuild.Source, binaries string, roots []byte) (oci.Image, error) {
	certificates, err := oci.NewLayer([]oci.Entry{{Path: "/etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Content: roots}}, source.Time)
	if err != nil {
		return oci.Image{}, err
	}
	commands, err := oci.NewLayer([]oci.Entry{
		{Path: "/manager", Mode: 0o755, Source: filepath.Join(binaries, "manager")},
		{Path: "/proxy", Mode: 0o755, Source: filepath.Join(binaries, "proxy")},
	}, source.Time)
	if err != nil {
		return oci.Image{}, err
	}
	labels := labels(source)
	return oci.Image{
		OS: target.OS, Architecture: target.Arch, Layers: []*oci.Layer{certificates, commands},
		// A number, so that runAsNonRoot can be checked without a user database.
		Config:  oci.Config{User: "65532:65532", Entrypoint: []string{"/proxy"}, WorkingDir: "/", Labels: labels},
		Created: source.Time, Annotations: labels,
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
		"org.opencontainers.image.created":     source.Time.Format("2006-01-02T15:04:05Z"),
	}
}
