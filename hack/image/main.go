// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command image assembles the product's container image without a container
// engine: the same content as the Dockerfile's, the same bytes for the same
// source. It is run in the root of the work tree and prints the name and digest.
//
//	go run ./hack/image -output bin/image.tar
//	go run ./hack/image -platform linux/amd64,linux/arm64 -output bin/image-index.tar
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/doorward/doorward/hack/gobuild"
	"github.com/doorward/doorward/hack/image/oci"
	"github.com/doorward/doorward/hack/image/product"
)

// options are the flags.
type options struct {
	version, name, repository, tag, platforms, output string
}

func main() {
	var o options
	flag.StringVar(&o.version, "version", "", "what the binaries call themselves (default: as hack/version.sh says)")
	flag.StringVar(&o.repository, "repository", product.Repository, "the image's name without its tag")
	flag.StringVar(&o.tag, "tag", "", "the image's tag (default: the version, with . for +)")
	flag.StringVar(&o.name, "name", "", "the image's whole name, instead of repository and tag")
	flag.StringVar(&o.platforms, "platform", "linux/"+runtime.GOARCH, "platforms separated by commas; several make an index")
	flag.StringVar(&o.output, "output", "bin/image.tar", "the archive to write")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, &o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	source, err := gobuild.Describe(ctx, ".")
	if err != nil {
		return err
	}
	if o.version != "" {
		source.Version, source.Tag = o.version, strings.ReplaceAll(o.version, "+", ".")
	}
	if o.tag != "" {
		source.Tag = o.tag
	}
	roots, err := product.Authorities(ctx, ".")
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "doorward-image-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	var images []oci.Image
	for _, text := range strings.Split(o.platforms, ",") {
		target, err := gobuild.ParseTarget(text)
		if err != nil {
			return err
		}
		binaries := filepath.Join(folder, target.OS+"-"+target.Arch)
		if err := gobuild.Build(ctx, ".", binaries, target, source.Version, product.Commands()...); err != nil {
			return err
		}
		image, err := product.Assemble(target, source, binaries, roots)
		if err != nil {
			return err
		}
		images = append(images, image)
	}
	name := o.name
	if name == "" {
		name = o.repository + ":" + source.Tag
	}
	digest, err := product.Write(o.output, name, images...)
	if err != nil {
		return err
	}
	fmt.Println(name, digest)
	return nil
}
