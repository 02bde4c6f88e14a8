// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/doorward/doorward/hack/image/oci"
	"github.com/doorward/doorward/test/testenv"
)

// pauseImage is what containerd makes the sandbox of each pod from.
const pauseImage = "doorward.test/pause:1"

// LoadImage gives the node the images of an archive: an OCI layout or what `docker save`
// writes. Pods use them with imagePullPolicy Never or IfNotPresent; there is no registry.
func (h *Handle) LoadImage(ctx context.Context, archive string) error {
	_, err := h.containerdClient(ctx, "-n", "k8s.io", "images", "import", archive)
	return err
}

// Images returns the names of the images that the node has.
func (h *Handle) Images(ctx context.Context) ([]string, error) {
	out, err := h.containerdClient(ctx, "-n", "k8s.io", "images", "list", "--quiet")
	return strings.Fields(string(out)), err
}

// containerdClient runs ctr against the node's containerd.
func (h *Handle) containerdClient(ctx context.Context, args ...string) ([]byte, error) {
	return output(ctx, "ctr", append([]string{"--address", h.path("containerd.sock")}, args...)...)
}

// loadPause builds the image of pods' sandboxes and loads it.
func (c *Cluster) loadPause(ctx context.Context) error {
	binary := c.path("pause")
	if err := BuildStatic(ctx, binary, "./test/cluster/pause"); err != nil {
		return err
	}
	archive := c.path("pause.tar")
	err := WriteImage(archive, pauseImage, oci.Config{User: "65535:65535", Entrypoint: []string{"/pause"}},
		oci.Entry{Path: "/pause", Mode: 0o755, Source: binary})
	if err != nil {
		return err
	}
	return c.LoadImage(ctx, archive)
}

// BuildStatic builds a static executable from a package of the work tree, for images.
func BuildStatic(ctx context.Context, target, pkg string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", target, pkg)
	build.Dir, build.Env = testenv.Root(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %q: %w: %s", pkg, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// WriteImage writes an image of one layer for this machine's platform as an archive that
// [Handle.LoadImage] takes.
func WriteImage(archive, name string, config oci.Config, entries ...oci.Entry) (err error) {
	// Images of tests are not released: the same input is the same image.
	when := time.Unix(0, 0)
	layer, err := oci.NewPlainLayer(entries, when)
	if err != nil {
		return fmt.Errorf("cannot assemble image %q: %w", name, err)
	}
	file, err := os.Create(filepath.Clean(archive))
	if err != nil {
		return fmt.Errorf("cannot write image %q: %w", name, err)
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
	}()
	_, err = oci.Write(file, name, oci.Image{OS: "linux", Architecture: runtime.GOARCH, Layers: []*oci.Layer{layer}, Config: config, Created: when})
	return err
}
