// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Tree returns what is below the folder root of this machine, and the folder
// itself, as entries below the path prefix of an image. All of it belongs to
// root; permissions stay. Sockets, pipes and devices are an error.
func Tree(root, prefix string) ([]Entry, error) {
	var entries []Entry
	err := filepath.WalkDir(root, func(name string, found fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		target := path.Join(prefix, filepath.ToSlash(relative))
		if target == "/" {
			return nil
		}
		info, err := found.Info()
		if err != nil {
			return err
		}
		entry := Entry{Path: target, Mode: info.Mode()}
		switch info.Mode().Type() {
		case fs.ModeDir:
		case fs.ModeSymlink:
			if entry.Link, err = os.Readlink(name); err != nil {
				return err
			}
		case 0:
			entry.Source = name
		default:
			return fmt.Errorf("neither file, folder nor symbolic link: %q", name)
		}
		entries = append(entries, entry)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read folder %q: %w", root, err)
	}
	return entries, nil
}
