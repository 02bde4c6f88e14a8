// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package sshd

import "github.com/doorward/doorward/test/proc"

func (s *Server) settle() error { return s.settleAsUser() }

func (*Server) separate(*proc.Command) {}
