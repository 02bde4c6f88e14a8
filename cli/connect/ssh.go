// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sshClients are those of OpenSSH, and programs that start it.
var sshClients = []program{
	{"ssh", "it comes with OpenSSH's client, such as the package openssh-client"},
	{"sftp", "it comes with OpenSSH's client, such as the package openssh-client"},
	{"scp", "it comes with OpenSSH's client, such as the package openssh-client"},
	{"rsync", "it is in the package rsync"},
	{"git", "it is in the package git"},
}

// Names in the folder of a run.
const (
	sshConfig      = "config"
	sshKnownHosts  = "known_hosts"
	sshKey         = "key"
	sshCertificate = "key-cert.pub"
)

// sshCiphers is what proxies take, the fastest first.
const sshCiphers = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr"

// sshCommand starts OpenSSH with a configuration of its own, in which the Connection is a host
// by its name. The user's configuration is for other servers and is not read.
func sshCommand(s *session, name string, args, inherited []string) (*command, error) {
	if err := s.writeSSH(s.dial); err != nil {
		return nil, err
	}
	c := &command{environment: without(inherited, "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "RSYNC_RSH", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT")}
	if s.ssh == nil {
		link, err := s.askpass(sshUser(s), s.alias())
		if err != nil {
			return nil, err
		}
		c.environment = append(c.environment, "SSH_ASKPASS="+link, "SSH_ASKPASS_REQUIRE=force")
	}
	config := filepath.Join(s.folder, sshConfig)
	switch name {
	case "ssh": // options may come after the host
		c.args = append([]string{"-F", config, s.name}, args...)
	case "sftp":
		// A batch file would have nobody asked for the token.
		c.args = append([]string{"-F", config, "-oBatchMode=no"}, args...)
		if !destined(args, s.name) {
			c.args = append(c.args, s.name)
		}
	case "scp":
		c.args = append([]string{"-F", config}, args...)
	default:
		c.args = args
		shell := "ssh -F '" + strings.ReplaceAll(config, "'", `'\''`) + "'"
		c.environment = append(c.environment, "RSYNC_RSH="+shell, "GIT_SSH_COMMAND="+shell, "GIT_SSH_VARIANT=ssh")
	}
	return c, nil
}

// destined says whether sftp's arguments name the host: last, as in "web:/srv/web", or before the
// local path that a file is fetched to, as in "web:site.tar site.tar".
func destined(args []string, host string) bool {
	return slices.ContainsFunc(args[max(0, len(args)-2):], func(arg string) bool { return arg == host || strings.HasPrefix(arg, host+":") })
}

// sshUser is what the proxy is told: the login name at the target, where one is asked for, and
// the Connection.
func sshUser(s *session) string { return s.loginName + "+" + s.namespace + "/" + s.name }

// alias is the name in the certificate of the proxy's host key.
func (s *session) alias() string {
	host, _, _ := net.SplitHostPort(s.endpoint)
	return host
}

// writeSSH writes what ssh_config(5) is to have into the session's folder, for a proxy that is
// reached at an address, host:port.
func (s *session) writeSSH(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("not an address: %q: %w", address, err)
	}
	// Whoever writes lines of a configuration says which programs are run.
	for _, text := range []string{host, port, s.alias()} {
		if text == "" || strings.ContainsFunc(text, noHost) {
			return fmt.Errorf("not the endpoint of an SSH server: %q: see \"kubectl -n %s describe connection %s\"", s.endpoint, s.namespace, s.name)
		}
	}
	known := s.path(sshKnownHosts)
	lines := []string{
		"Host " + s.name,
		"HostName " + host,
		"Port " + port,
		"User " + sshUser(s),
		"HostKeyAlias " + s.alias(),
		"UserKnownHostsFile " + known,
		"GlobalKnownHostsFile " + known,
		"StrictHostKeyChecking yes",
		"UpdateHostKeys no",
		"VerifyHostKeyDNS no",
		// OpenSSH's own order has CTR with a MAC before GCM, which needs less of both processors.
		"Ciphers " + sshCiphers,
	}
	files := map[string][]byte{sshKnownHosts: s.authorities}
	if s.ssh != nil {
		files[sshKey], files[sshCertificate] = []byte(s.ssh.Key), []byte(s.ssh.Certificate)
		lines = append(lines, "PreferredAuthentications publickey", "IdentitiesOnly yes",
			"IdentityFile "+s.path(sshKey), "CertificateFile "+s.path(sshCertificate))
	} else {
		lines = append(lines, "PreferredAuthentications password", "PubkeyAuthentication no", "NumberOfPasswordPrompts 1")
	}
	files[sshConfig] = []byte(strings.Join(lines, "\n  ") + "\n")
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.folder, name), text, 0o600); err != nil {
			return fmt.Errorf("no file for ssh: %w", err)
		}
	}
	return nil
}

// noHost says which characters neither a name nor an address has.
func noHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:", r)
}

// path is a file of the session's folder as ssh_config(5) has it: in quotes, and without tokens.
func (s *session) path(name string) string {
	return `"` + strings.ReplaceAll(filepath.Join(s.folder, name), "%", "%%") + `"`
}

// sshTyped says how to reach a local port.
func sshTyped(s *session, at net.Addr, _, _ string) ([]string, error) {
	if err := s.writeSSH(at.String()); err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(at.String())
	lines := []string{"host      " + host, "port      " + port, "user      " + sshUser(s)}
	if s.ssh != nil {
		lines = append(lines, "key       "+filepath.Join(s.folder, sshKey), "with      "+filepath.Join(s.folder, sshCertificate))
	} else {
		lines = append(lines, "password  what \"kubectl doorward token\" prints")
	}
	return append(lines,
		"known     as "+s.alias()+", by "+filepath.Join(s.folder, sshKnownHosts),
		"ssh       ssh -F "+filepath.Join(s.folder, sshConfig)+" "+s.name,
	), nil
}

// without leaves out variables by their names.
func without(environment []string, names ...string) []string {
	kept := make([]string, 0, len(environment)+len(names))
	for _, variable := range environment {
		if name, _, _ := strings.Cut(variable, "="); !slices.Contains(names, name) {
			kept = append(kept, variable)
		}
	}
	return kept
}
