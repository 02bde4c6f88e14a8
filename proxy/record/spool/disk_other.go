// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package spool

import (
	"errors"
	"os"
)

func allocate(*os.File, int64) error { return nil }

func datasync(file *os.File) error { return file.Sync() }

func goPastCache(*os.File) error { return errors.ErrUnsupported }
