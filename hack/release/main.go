// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command release makes everything that a release consists of, in one folder:
// archives of the binaries, images, charts, bills of materials, the manifest of
// the kubectl plugin and the checksums of all. The same commit makes the same
// bytes. It is run in the root of the work tree, by `make dist`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/doorward/doorward/hack/gobuild"
	"github.com/doorward/doorward/hack/image/oci"
)

// Platforms of a release. The proxy and the manager are for Linux alone, where
// they are tested: the proxy asks the kernel for reserved space and acknowledged
// bytes.
const (
	serverPlatforms = "linux/amd64,linux/arm64"
	pluginPlatforms = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"
)

// release is one run.
type release struct {
	source         gobuild.Source
	output         string // folder of what is released
	work           string // folder of what is not
	tools          string // folder of the pinned tools
	servers, users []gobuild.Target
	assembled      []oci.Image
}

func main() {
	var r release
	var version, servers, users string
	flag.StringVar(&r.output, "output", "dist", "the folder to write; a former release in it goes")
	flag.StringVar(&r.tools, "tools", "bin/tools", "the folder of cyclonedx-gomod, helm, krew and validate-krew-manifest")
	flag.StringVar(&version, "version", "", "the version (default: as hack/version.sh says)")
	flag.StringVar(&servers, "platform", serverPlatforms, "platforms of the manager, the proxy and the image")
	flag.StringVar(&users, "plugin-platform", pluginPlatforms, "platforms of kubectl-doorward")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := r.run(ctx, version, servers, users)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func (r *release) run(ctx context.Context, version, servers, users string) (err error) {
	if r.source, err = gobuild.Describe(ctx, "."); err != nil {
		return err
	}
	if version != "" {
		r.source.Version, r.source.Tag = version, strings.ReplaceAll(version, "+", ".")
	}
	if r.servers, err = targets(servers); err != nil {
		return err
	}
	if r.users, err = targets(users); err != nil {
		return err
	}
	if r.work, err = os.MkdirTemp("", "doorward-release-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(r.work) }()
	if err := removeFormer(r.output); err != nil {
		return err
	}
	if err := os.MkdirAll(r.output, 0o755); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"binaries", r.binaries},
		{"bills of materials", r.bills},
		{"archives", r.archives},
		{"images", r.images},
		{"charts", r.charts},
		{"kubectl plugin", r.plugin},
		{"checksums", r.checksums},
	} {
		start := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Fprintf(os.Stderr, "  release %s: %s: %.0f s\n", r.source.Version, step.name, time.Since(start).Seconds())
	}
	return nil
}

func targets(list string) ([]gobuild.Target, error) {
	var all []gobuild.Target
	for _, text := range strings.Split(list, ",") {
		target, err := gobuild.ParseTarget(text)
		if err != nil {
			return nil, err
		}
		all = append(all, target)
	}
	return all, nil
}

// removeFormer removes a former release. A folder that is something else is left alone.
func removeFormer(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the folder to write: %w", err)
	}
	release := func(e os.DirEntry) bool { return e.Name() == "checksums.txt" }
	if filepath.Base(folder) != "dist" && !slices.ContainsFunc(entries, release) {
		return fmt.Errorf("folder %q is not empty and no former release: name another by --output", folder)
	}
	return os.RemoveAll(folder)
}
