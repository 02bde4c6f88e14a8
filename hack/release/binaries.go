// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/doorward/doorward/hack/gobuild"
	"github.com/doorward/doorward/hack/image/product"
)

const pluginCommand = "kubectl-doorward"

// folder is where a platform's binaries are built.
func (r *release) folder(target gobuild.Target) string {
	return filepath.Join(r.work, target.OS+"-"+target.Arch)
}

// file is the path of what is released for a platform.
func (r *release) file(name string, target gobuild.Target, ending string) string {
	return filepath.Join(r.output, fmt.Sprintf("%s_%s_%s_%s%s", name, r.source.Tag, target.OS, target.Arch, ending))
}

func (r *release) binaries(ctx context.Context) error {
	for _, target := range r.servers {
		if err := gobuild.Build(ctx, ".", r.folder(target), target, r.source.Version, product.Commands()...); err != nil {
			return err
		}
	}
	for _, target := range r.users {
		if err := gobuild.Build(ctx, ".", r.folder(target), target, r.source.Version, pluginCommand); err != nil {
			return err
		}
	}
	return nil
}

// archives packs the binaries: the plugin as krew and people expect it, and for
// proxies outside of clusters the manager and the proxy.
func (r *release) archives(context.Context) error {
	for _, target := range r.servers {
		files := []packed{{name: "LICENSE", source: "LICENSE", mode: 0o644}}
		for _, command := range product.Commands() {
			files = append(files, packed{name: command, source: filepath.Join(r.folder(target), command), mode: 0o755})
		}
		if err := writeTarGz(r.file("doorward", target, ".tar.gz"), files, r.source.Time); err != nil {
			return err
		}
	}
	for _, target := range r.users {
		executable := target.Executable(pluginCommand)
		files := []packed{{name: "LICENSE", source: "LICENSE", mode: 0o644}, {name: executable, source: filepath.Join(r.folder(target), executable), mode: 0o755}}
		if err := r.packPlugin(target, files); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) packPlugin(target gobuild.Target, files []packed) error {
	if target.OS == "windows" {
		return writeZip(r.pluginArchive(target), files, r.source.Time)
	}
	return writeTarGz(r.pluginArchive(target), files, r.source.Time)
}

func (r *release) pluginArchive(target gobuild.Target) string {
	if target.OS == "windows" {
		return r.file(pluginCommand, target, ".zip")
	}
	return r.file(pluginCommand, target, ".tar.gz")
}

// images writes an archive for each platform, to be loaded, and one of all of
// them, to be pushed; image.txt names the digest that registries know it by.
func (r *release) images(ctx context.Context) error {
	authorities, err := product.Authorities(ctx, ".")
	if err != nil {
		return err
	}
	name := product.Repository + ":" + r.source.Tag
	var digest string
	for _, target := range r.servers {
		image, err := product.Assemble(target, r.source, r.folder(target), authorities)
		if err != nil {
			return err
		}
		if digest, err = product.Write(r.file("doorward-image", target, ".tar"), name, image); err != nil {
			return err
		}
		r.assembled = append(r.assembled, image)
	}
	if len(r.assembled) > 1 {
		if digest, err = product.Write(filepath.Join(r.output, "doorward-image_"+r.source.Tag+".tar"), name, r.assembled...); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(r.output, "image.txt"), []byte(name+"@"+digest+"\n"), 0o644)
}
