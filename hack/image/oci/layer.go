// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oci assembles container images from files, without a container
// engine and without a registry. What it writes depends on its input alone: no
// clock, no owner or mode of this machine.
package oci

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Entry is one file, folder or symbolic link of a layer.
type Entry struct {
	// Path is absolute, as the container sees it.
	Path string
	// Mode has the type (regular, fs.ModeDir or fs.ModeSymlink) and the
	// permissions, with fs.ModeSetuid, fs.ModeSetgid and fs.ModeSticky.
	Mode fs.FileMode
	// UID and GID own it; 0 is root.
	UID, GID int
	// Link is what a symbolic link names.
	Link string
	// A regular file's content is that of the file Source of this machine where
	// it is named, else Content.
	Source  string
	Content []byte
}

// Layer is a set of entries as it is stored: a tar archive, compressed or not.
type Layer struct {
	blob      []byte
	mediaType string
	diffID    string // digest of the archive before compression
}

// NewLayer packs and compresses the entries. Folders that lead to them need not
// be among them: they are made, of root and with mode 0755. Every entry bears
// the given time, in whole seconds.
func NewLayer(entries []Entry, when time.Time) (*Layer, error) {
	var blob bytes.Buffer
	compressed := gzip.NewWriter(&blob)
	diffID, err := pack(compressed, entries, when)
	if err != nil {
		return nil, err
	}
	if err := compressed.Close(); err != nil {
		return nil, fmt.Errorf("cannot compress the archive: %w", err)
	}
	return &Layer{blob: blob.Bytes(), mediaType: typeLayer, diffID: diffID}, nil
}

// NewPlainLayer is NewLayer without compression, which takes longer than all
// else: for images that do not leave the machine.
func NewPlainLayer(entries []Entry, when time.Time) (*Layer, error) {
	var blob bytes.Buffer
	diffID, err := pack(&blob, entries, when)
	if err != nil {
		return nil, err
	}
	return &Layer{blob: blob.Bytes(), mediaType: typePlainLayer, diffID: diffID}, nil
}

// pack writes the archive and returns its digest.
func pack(to io.Writer, entries []Entry, when time.Time) (string, error) {
	all, err := withFolders(entries)
	if err != nil {
		return "", err
	}
	diff := sha256.New()
	archive := tar.NewWriter(io.MultiWriter(diff, to))
	for i := range all {
		if err := all[i].write(archive, when); err != nil {
			return "", fmt.Errorf("cannot pack %q: %w", all[i].Path, err)
		}
	}
	if err := archive.Close(); err != nil {
		return "", fmt.Errorf("cannot end the archive: %w", err)
	}
	return fmt.Sprintf("sha256:%x", diff.Sum(nil)), nil
}

// withFolders sorts the entries by path, adds the folders above them, and
// refuses what a container engine would read differently from what it says.
func withFolders(entries []Entry) ([]Entry, error) {
	all := slices.Clone(entries)
	known := map[string]bool{"/": true}
	for i := range entries {
		name := entries[i].Path
		switch {
		case !path.IsAbs(name) || path.Clean(name) != name || name == "/":
			return nil, fmt.Errorf("cannot pack %q: the path must be absolute and clean, and not the root", name)
		case known[name]:
			return nil, fmt.Errorf("cannot pack %q: the path is there twice", name)
		case strings.HasPrefix(path.Base(name), ".wh."):
			return nil, fmt.Errorf("cannot pack %q: the name means a deletion in a layer", name)
		}
		known[name] = true
	}
	for i := range entries {
		for folder := path.Dir(entries[i].Path); !known[folder]; folder = path.Dir(folder) {
			known[folder] = true
			all = append(all, Entry{Path: folder, Mode: fs.ModeDir | 0o755})
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	return all, nil
}

func (e *Entry) write(archive *tar.Writer, when time.Time) error {
	header := &tar.Header{
		Name: strings.TrimPrefix(e.Path, "/"), Mode: permissions(e.Mode), Uid: e.UID, Gid: e.GID,
		ModTime: when.Truncate(time.Second).UTC(), Format: tar.FormatPAX,
	}
	switch e.Mode.Type() {
	case fs.ModeDir:
		header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
		return archive.WriteHeader(header)
	case fs.ModeSymlink:
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, e.Link, 0o777
		return archive.WriteHeader(header)
	case 0:
	default:
		return fmt.Errorf("neither file, folder nor symbolic link: mode %s", e.Mode)
	}
	header.Typeflag = tar.TypeReg
	content := e.Content
	if e.Source != "" {
		var err error
		if content, err = os.ReadFile(e.Source); err != nil {
			return err
		}
	}
	header.Size = int64(len(content))
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

// permissions is the mode as tar has it: Unix' own bits.
func permissions(mode fs.FileMode) int64 {
	bits := int64(mode.Perm())
	for _, special := range []struct {
		flag fs.FileMode
		bit  int64
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if mode&special.flag != 0 {
			bits |= special.bit
		}
	}
	return bits
}
