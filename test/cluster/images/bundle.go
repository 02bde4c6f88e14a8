// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/doorward/doorward/hack/image/oci"
)

// bundle collects files of this machine for an image, at the paths they have here.
type bundle map[string]oci.Entry

// add adds a program under the path it shall have in the image; links are followed.
func (b bundle) add(path, source string) {
	b[path] = oci.Entry{Path: path, Mode: 0o755, Source: source}
}

// content adds a file with the content.
func (b bundle) content(path, content string) {
	b[path] = oci.Entry{Path: path, Mode: 0o644, Content: []byte(content)}
}

// programs adds executables or libraries of this machine and all libraries they load.
func (b bundle) programs(ctx context.Context, paths ...string) error {
	for _, path := range paths {
		b.add(path, path)
	}
	out, err := exec.CommandContext(ctx, "ldd", paths...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot find the libraries of %q: %w: %s", paths, err, strings.TrimSpace(string(out)))
	}
	for line := range strings.Lines(string(out)) {
		// "name => /path (address)", or "/path (address)" of the loader itself.
		fields := strings.Fields(line)
		switch i := slices.Index(fields, "=>"); {
		case i >= 0 && i+1 < len(fields) && fields[i+1] == "not":
			return fmt.Errorf("cannot find library %q of %q on this machine", fields[0], paths)
		case i >= 0 && i+1 < len(fields):
			b.add(fields[i+1], fields[i+1])
		case len(fields) == 2 && filepath.IsAbs(fields[0]):
			b.add(fields[0], fields[0])
		}
	}
	return nil
}

// folder adds what is below a folder of this machine, where it is there.
func (b bundle) folder(path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	entries, err := oci.Tree(path, path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		b[entry.Path] = entry
	}
	return nil
}

// entries returns all of it in a stable order, folders before what is in them.
func (b bundle) entries() []oci.Entry {
	all := make([]oci.Entry, 0, len(b))
	for _, entry := range b {
		all = append(all, entry)
	}
	slices.SortFunc(all, func(a, b oci.Entry) int { return strings.Compare(a.Path, b.Path) })
	return all
}
