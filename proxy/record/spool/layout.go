// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	segmentSuffix = ".log"
	openSuffix    = ".open"
	tempSuffix    = ".tmp"
	// unnamed ends what writeFile has not finished; no sink's name ends so.
	unnamed   = "~" + tempSuffix
	cursorDir = "cursors"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func segmentPath(dir string, first int64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", first, segmentSuffix))
}

func openPath(dir string, first int64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d%s", first, openSuffix))
}

// listSegments returns the first indexes of the directory's segments, ascending.
func listSegments(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var firsts []int64
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if !ok {
			continue
		}
		first, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || len(digits) != 20 || first < 0 {
			return nil, fmt.Errorf("%w: %q is no segment's name: move it out of %q", ErrCorrupt, e.Name(), dir)
		}
		firsts = append(firsts, first)
	}
	slices.Sort(firsts)
	return firsts, nil
}

func removeTemporary(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+tempSuffix))
	if err != nil {
		return err
	}
	cursors, err := filepath.Glob(filepath.Join(dir, cursorDir, "*"+unnamed))
	if err != nil {
		return err
	}
	paths = append(paths, cursors...)
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// writeFile replaces a file so that after a crash it holds the old or the new
// content, and the new one once writeFile has returned.
func writeFile(path string, data []byte) error {
	temp := path + unnamed
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}
