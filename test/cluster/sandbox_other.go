// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package cluster

import (
	"context"
	"errors"
	"syscall"

	"github.com/doorward/doorward/test/proc"
)

// errSystem says that there are no namespaces.
var errSystem = errors.New("a node needs Linux")

func startSandbox(context.Context, string, string) (*proc.Process, error) { return nil, errSystem }

type sandbox struct{ pid int }

func (sandbox) enter() error { return errSystem }

func (sandbox) inNetwork(func() error) error { return errSystem }

func (sandbox) attributes(*syscall.SysProcAttr) {}

func removeGroups(context.Context, string) error { return errSystem }
