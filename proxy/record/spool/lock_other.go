// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package spool

import (
	"errors"
	"fmt"
	"os"
)

func lockDir(dir string) (*os.File, error) {
	return nil, fmt.Errorf("cannot lock %q: %w: a record log is written on Unix systems only", dir, errors.ErrUnsupported)
}
