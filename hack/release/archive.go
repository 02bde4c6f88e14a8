// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// packed is a file in an archive; its content is that of the file source, or
// content where no source is named.
type packed struct {
	name, source string
	content      []byte
	mode         int64
}

func (p *packed) read() ([]byte, error) {
	if p.source == "" {
		return p.content, nil
	}
	return os.ReadFile(p.source)
}

// writeTarGz packs the files in their order. All belong to root and bear the
// given time.
func writeTarGz(output string, files []packed, when time.Time) error {
	return create(output, func(file io.Writer) error {
		compressed := gzip.NewWriter(file)
		archive := tar.NewWriter(compressed)
		for i := range files {
			content, err := files[i].read()
			if err != nil {
				return err
			}
			if err := archive.WriteHeader(&tar.Header{
				Typeflag: tar.TypeReg, Name: files[i].name, Mode: files[i].mode, Size: int64(len(content)), ModTime: when.UTC(), Format: tar.FormatPAX,
			}); err != nil {
				return err
			}
			if _, err := archive.Write(content); err != nil {
				return err
			}
		}
		return errors.Join(archive.Close(), compressed.Close())
	})
}

func writeZip(output string, files []packed, when time.Time) error {
	return create(output, func(file io.Writer) error {
		archive := zip.NewWriter(file)
		for i := range files {
			content, err := files[i].read()
			if err != nil {
				return err
			}
			header := &zip.FileHeader{Name: files[i].name, Method: zip.Deflate, Modified: when.UTC()}
			header.SetMode(os.FileMode(files[i].mode))
			entry, err := archive.CreateHeader(header)
			if err != nil {
				return err
			}
			if _, err := entry.Write(content); err != nil {
				return err
			}
		}
		return archive.Close()
	})
}

func create(output string, write func(io.Writer) error) error {
	file, err := os.Create(output)
	if err != nil {
		return fmt.Errorf("cannot write %q: %w", output, err)
	}
	if err := errors.Join(write(file), file.Close()); err != nil {
		return fmt.Errorf("cannot write %q: %w", output, err)
	}
	return nil
}
