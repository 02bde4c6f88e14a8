// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"io"
	"os"
	"path/filepath"
)

// Disk is how segments come to be. The operating system's is the default;
// tests put one in that fails.
type Disk interface {
	// Create makes a segment file of the given size, filled with zeros that
	// are on disk when it returns.
	Create(path string, size int64) (Segment, error)
	// Open opens an existing segment file for writing.
	Open(path string) (Segment, error)
	// Publish gives a segment its lasting name, durably.
	Publish(from, to string) error
}

// Segment is a segment file open for writing.
type Segment interface {
	io.WriterAt
	io.Closer
	// Datasync returns when all that was written is on disk (fdatasync(2)).
	Datasync() error
	Truncate(size int64) error
	// Align has what is written from now on go past the page cache where that
	// can be done. It returns the block at whose multiples writes must then
	// begin and end, in the file and in memory; 1 where any bytes can be written.
	Align() (block int)
}

// OSDisk is the operating system's Disk.
func OSDisk() Disk { return osDisk{} }

type osDisk struct{}

type osSegment struct{ *os.File }

func (osDisk) Create(path string, size int64) (Segment, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := fill(file, size); err != nil {
		_ = file.Close()
		_ = os.Remove(path)
		return nil, err
	}
	return osSegment{file}, nil
}

// fill allocates the file's blocks and writes zeros to them. Without the
// zeros, each fdatasync would have to write which blocks became initialised.
func fill(file *os.File, size int64) error {
	if err := allocate(file, size); err != nil {
		return err
	}
	zeros := make([]byte, 256<<10)
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := file.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
		// Small steps keep the device's queue short for the log's own syncs.
		if at%(2<<20) == 0 {
			if err := datasync(file); err != nil {
				return err
			}
		}
	}
	return file.Sync()
}

func (osDisk) Open(path string) (Segment, error) {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return osSegment{file}, nil
}

func (osDisk) Publish(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func (s osSegment) Datasync() error { return datasync(s.File) }

// directBlock is a multiple of the logical blocks of all usual disks.
const directBlock = 4096

// Align implements Segment. A sync of what is in the page cache takes two to
// three times the CPU time of one that has nothing to look for there.
func (s osSegment) Align() int {
	if goPastCache(s.File) != nil {
		return 1 // as on file systems that cannot
	}
	return directBlock
}
