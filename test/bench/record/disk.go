// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/test/bench/record/load"
)

// disk measures write and fdatasync of one record in blocks that are already
// written, one after the other: the disk's own rate. There is one writer.
func disk(dir string, size int, s load.Settings) (_ load.Result, err error) {
	file, err := os.CreateTemp(dir, "disk-")
	if err != nil {
		return load.Result{}, fmt.Errorf("cannot measure the disk: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	const room = 16 << 20
	if _, err := file.Write(make([]byte, room)); err != nil {
		return load.Result{}, fmt.Errorf("cannot measure the disk: %w", err)
	}
	if err := file.Sync(); err != nil {
		return load.Result{}, fmt.Errorf("cannot measure the disk: %w", err)
	}
	data := make([]byte, size)
	at, syncs := int64(0), 0
	write := func() error {
		if _, err := file.WriteAt(data, at); err != nil {
			return fmt.Errorf("cannot measure the disk: %w", err)
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return fmt.Errorf("cannot measure the disk: %w", err)
		}
		at = (at + int64(size)) % (room - int64(size))
		syncs++
		return nil
	}
	return load.Run(s, write, func() int { return syncs })
}

// countingDisk counts syncs of segments.
type countingDisk struct {
	spool.Disk
	syncs atomic.Int64
}

func (d *countingDisk) count() int { return int(d.syncs.Load()) }

type countingSegment struct {
	spool.Segment
	disk *countingDisk
}

func (d *countingDisk) Create(path string, size int64) (spool.Segment, error) {
	s, err := d.Disk.Create(path, size)
	return countingSegment{s, d}, err
}

func (d *countingDisk) Open(path string) (spool.Segment, error) {
	s, err := d.Disk.Open(path)
	return countingSegment{s, d}, err
}

func (s countingSegment) Datasync() error {
	err := s.Segment.Datasync()
	s.disk.syncs.Add(1)
	return err
}
