// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// charts packs every chart with Helm, which checks it. Helm's packages bear the
// time they are made: their files are packed again with the commit's.
func (r *release) charts(ctx context.Context) error {
	found, err := filepath.Glob(filepath.Join("charts", "*", "Chart.yaml"))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return errors.New("cannot pack charts: there is none in folder charts")
	}
	for _, chart := range found {
		if err := r.chart(ctx, filepath.Dir(chart)); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) chart(ctx context.Context, folder string) error {
	name := filepath.Base(folder)
	// The image's tag follows the appVersion, so that has none of a version's plus signs.
	helm := exec.CommandContext(ctx, filepath.Join(r.tools, "helm"), "package", folder,
		"--destination", r.work, "--version", r.source.Version, "--app-version", r.source.Tag)
	if out, err := helm.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot pack chart %q: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	files, err := unpackTarGz(filepath.Join(r.work, name+"-"+r.source.Version+".tgz"))
	if err != nil {
		return fmt.Errorf("cannot pack chart %q again: %w", name, err)
	}
	return writeTarGz(filepath.Join(r.output, name+"-"+r.source.Tag+".tgz"), files, r.source.Time)
}

// unpackTarGz reads the regular files of an archive of our own making.
func unpackTarGz(name string) ([]packed, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	compressed, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	var files []packed
	for archive := tar.NewReader(compressed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg {
			return nil, fmt.Errorf("neither expected nor packed: %q is no regular file", header.Name)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		files = append(files, packed{name: header.Name, content: content, mode: 0o644})
	}
}
