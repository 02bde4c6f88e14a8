// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sshd

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// find returns the first of some programs that is there.
func find(names ...string) (string, error) {
	for _, name := range names {
		// sshd starts itself anew and wants its absolute path.
		if path, err := exec.LookPath(name); err == nil && filepath.IsAbs(path) {
			return path, nil
		}
	}
	return "", ErrNoSSHD
}

// config is the whole of sshd_config. sshd takes the first value of a keyword.
func (s *Server) config(options Options) string {
	passwords := "no"
	for _, account := range s.accounts {
		if account.Password != "" {
			passwords = "yes"
		}
	}
	sftp, err := find("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server", "/usr/libexec/sftp-server")
	if err != nil {
		sftp = "internal-sftp"
	}
	lines := append(append([]string{}, options.Config...),
		fmt.Sprintf("Port %d", s.Port),
		"ListenAddress "+s.Host,
		"HostKey "+s.file("host_key"),
		"AuthorizedKeysFile "+s.file("authorized_keys")+"/%u",
		"TrustedUserCAKeys "+s.file("user_cas"),
		"PasswordAuthentication "+passwords,
		"KbdInteractiveAuthentication no",
		"PubkeyAuthentication yes",
		"PermitRootLogin yes",
		"UsePAM no",
		"StrictModes no", // a temporary folder is below one that all may write to
		"PidFile none",
		"UseDNS no",
		"LogLevel VERBOSE",
		"MaxSessions 1000",
		"MaxStartups 1000",
		"AllowTcpForwarding yes",
		"AllowStreamLocalForwarding yes",
		"AllowAgentForwarding yes",
		"X11Forwarding yes",
		"AcceptEnv LANG LC_*",
		"PrintMotd no",
		"PrintLastLog no",
		"Subsystem sftp "+sftp,
	)
	if s.HostCertificate != nil {
		lines = append(lines, "HostCertificate "+s.file("host_key-cert.pub"))
	}
	return strings.Join(lines, "\n") + "\n"
}

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

// writeKeys writes the host key, the authorities and the accounts' keys.
func (s *Server) writeKeys(options Options) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("cannot make sshd's host key: %w", err)
	}
	host, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return fmt.Errorf("cannot make sshd's host key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return fmt.Errorf("cannot make sshd's host key: %w", err)
	}
	s.HostKey = host.PublicKey()
	errs := []error{
		os.WriteFile(s.file("host_key"), pem.EncodeToMemory(block), 0o600),
		// sshd reads them as the user who logs in.
		os.WriteFile(s.file("user_cas"), lines(options.TrustedUserCAs), 0o644),
		os.Mkdir(s.file("authorized_keys"), 0o755),
	}
	for _, account := range s.accounts {
		errs = append(errs, os.WriteFile(filepath.Join(s.file("authorized_keys"), account.Name), lines(account.AuthorizedKeys), 0o644))
	}
	if options.HostAuthority != nil {
		s.HostCertificate = &ssh.Certificate{
			Key: s.HostKey, Serial: 1, CertType: ssh.HostCert, KeyId: "sshd", ValidPrincipals: []string{s.Host, "localhost"}, ValidBefore: ssh.CertTimeInfinity,
		}
		errs = append(errs, s.HostCertificate.SignCert(rand.Reader, options.HostAuthority),
			os.WriteFile(s.file("host_key-cert.pub"), ssh.MarshalAuthorizedKey(s.HostCertificate), 0o644))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot write sshd's keys: %w", err)
	}
	return nil
}

// lines are public keys as authorized_keys holds them.
func lines(keys []ssh.PublicKey) []byte {
	var out []byte
	for _, key := range keys {
		out = append(out, ssh.MarshalAuthorizedKey(key)...)
	}
	return out
}
