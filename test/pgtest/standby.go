// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// copy makes the data folder of a standby. It shares the roles and passwords of
// its primary, and keeps its certificate and settings to itself.
func (s *Server) copy(ctx context.Context, primary *Server) error {
	s.Password = primary.Password
	command := exec.CommandContext(ctx, filepath.Join(s.BinDir, "pg_basebackup"),
		"--pgdata", s.data(), "--dbname", primary.SuperuserDSN, "--write-recovery-conf", "--checkpoint", "fast", "--no-sync")
	command.Dir = s.dir
	command.Env = append(os.Environ(), "HOME="+s.dir) // libpq looks for certificates there
	command.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot copy a PostgreSQL data folder: %w: %s", err, out)
	}
	return nil
}

// Promote ends a standby's recovery: it becomes a primary.
func (s *Server) Promote(ctx context.Context) error {
	return s.Exec(ctx, "SELECT pg_promote(true, 60)")
}
