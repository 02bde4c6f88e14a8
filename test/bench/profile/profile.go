// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package profile profiles what the commands beside it measure.
package profile

import (
	"errors"
	"os"
	"runtime/pprof"
)

// CPU calls work and writes its CPU profile where a path is given.
func CPU(path string, work func() error) error {
	if path == "" {
		return work()
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(err, file.Close())
	}
	err = work()
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}
