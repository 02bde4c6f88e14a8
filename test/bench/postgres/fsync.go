// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// syncWrite is the size of one write of syncRate, about that of one group of
// records of 16 clients, in bytes.
const syncWrite = 16 << 10

// syncRate is how often a second a disk takes a write and makes it durable, as
// the record log does: over blocks that are already written, with fdatasync.
func syncRate(dir string, duration time.Duration) (rate float64, err error) {
	file, err := os.CreateTemp(dir, "doorward-bench-sync-*")
	if err != nil {
		return 0, fmt.Errorf("cannot measure the disk: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(filepath.Clean(file.Name()))) }()
	const blocks = 256
	block := make([]byte, syncWrite)
	for i := range int64(blocks) {
		if _, err := file.WriteAt(block, i*syncWrite); err != nil {
			return 0, fmt.Errorf("cannot measure the disk: %w", err)
		}
	}
	if err := file.Sync(); err != nil {
		return 0, fmt.Errorf("cannot measure the disk: %w", err)
	}
	began := time.Now()
	var count int64
	for time.Since(began) < duration {
		if _, err := file.WriteAt(block, count%blocks*syncWrite); err != nil {
			return 0, fmt.Errorf("cannot measure the disk: %w", err)
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return 0, fmt.Errorf("cannot measure the disk: %w", err)
		}
		count++
	}
	return float64(count) / time.Since(began).Seconds(), nil
}
