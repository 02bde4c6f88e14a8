// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sys/unix"

	"github.com/doorward/doorward/test/proc"
)

// firstID is the user and group id of the first account: one that nobody has.
const firstID = 21000

// settle writes what sshd reads of accounts, and makes their homes.
func (s *Server) settle() error {
	if os.Geteuid() != 0 {
		return s.settleAsUser()
	}
	names := map[string]bool{"sshd": true}
	var users, shadows, groups strings.Builder
	users.WriteString("sshd:x:20999:20999::/run/sshd:/usr/sbin/nologin\n")
	shadows.WriteString("sshd:*:20000::::::\n")
	for i, account := range s.accounts {
		if names[account.Name] || strings.ContainsAny(account.Name, ":/\n") || account.Name == "" {
			return fmt.Errorf("no name of an account, or one that is there twice: %q", account.Name)
		}
		names[account.Name] = true
		id := firstID + i
		if account.Name == "root" {
			id = 0
		}
		hash := "*"
		if account.Password != "" {
			hashed, err := bcrypt.GenerateFromPassword([]byte(account.Password), bcrypt.MinCost)
			if err != nil {
				return fmt.Errorf("cannot hash the password of %q: %w", account.Name, err)
			}
			hash = string(hashed)
		}
		home := s.Home(account.Name)
		fmt.Fprintf(&users, "%s:x:%d:%d::%s:/bin/sh\n", account.Name, id, id, home)
		fmt.Fprintf(&shadows, "%s:%s:20000::::::\n", account.Name, hash)
		fmt.Fprintf(&groups, "%s:x:%d:\n", account.Name, id)
		if err := errors.Join(os.MkdirAll(home, 0o755), os.Chmod(home, 0o700), os.Chown(home, id, id)); err != nil {
			return fmt.Errorf("cannot make the home of %q: %w", account.Name, err)
		}
	}
	return errors.Join(
		s.others("passwd", users.String(), names, 0o644),
		s.others("shadow", shadows.String(), names, 0o600),
		s.others("group", groups.String(), nil, 0o644),
	)
}

// others writes a file of /etc for sshd: first what is ours, then the machine's lines about
// others.
func (s *Server) others(name, ours string, names map[string]bool, mode os.FileMode) error {
	content, err := os.ReadFile("/etc/" + name)
	if err != nil {
		return fmt.Errorf("cannot read the machine's accounts: %w", err)
	}
	for line := range strings.Lines(string(content)) {
		if account, _, _ := strings.Cut(line, ":"); !names[account] {
			ours += line
		}
	}
	return os.WriteFile(s.file(name), []byte(ours), mode)
}

// separate gives sshd, where root starts it, mounts and process ids of its own.
func (s *Server) separate(command *proc.Command) {
	if os.Geteuid() != 0 {
		return
	}
	// Sessions leave sshd's process group and outlive it. With its process ids
	// they are killed.
	command.Attributes = func(attributes *syscall.SysProcAttr) { attributes.Cloneflags |= unix.CLONE_NEWPID }
	command.Thread = s.mount
}

// mount puts the accounts in the place of the machine's for the calling thread, which ends
// afterwards, and for what it forks.
func (s *Server) mount() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("%w: cannot have mounts of its own: %w", ErrNotRoot, err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot keep sshd's mounts to itself: %w", err)
	}
	for _, name := range []string{"passwd", "shadow", "group"} {
		if err := unix.Mount(s.file(name), "/etc/"+name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cannot give sshd a file of its own: %q: %w", name, err)
		}
	}
	// Records of logins go nowhere, and sshd wants a folder in /run.
	for _, dir := range []string{"/run", "/var/log"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("cannot give sshd a folder of its own: %q: %w", dir, err)
		}
	}
	return os.Mkdir("/run/sshd", 0o755)
}
