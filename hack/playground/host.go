// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/test/stack"
)

// hostPolicies is what the SSH server has beside what the stack gives it.
//
//go:embed host.yaml
var hostPolicies string

// releases is the folder of the SSH server into which analysts put files.
func (p *playground) releases() string { return filepath.Join(p.host.Home(), "releases") }

// openHost gives people something to do at the SSH server, and plain ssh what it needs.
func (p *playground) openHost(ctx context.Context) error {
	err := errors.Join(
		p.Apply(ctx, os.Expand(hostPolicies, func(string) string { return p.host.Home() })),
		p.fillReleases(ctx),
		p.writeSSHConfig(ctx),
	)
	if err != nil {
		return err
	}
	return p.AwaitPolicy(ctx, stack.HostConnection, "shop-host-releases")
}

// fillReleases makes a repository there. The home of whoever is not root is his own, in which
// nothing is made.
func (p *playground) fillReleases(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return nil
	}
	made, err := exec.CommandContext(ctx, "sh", "-ec", `
mkdir "$1"
git -c init.defaultBranch=main init -q "$1/site"
cd "$1/site"
echo hello > index.html
git add .
git -c user.name=playground -c user.email=playground@example.com commit -q -m 'the shop opens'
chown -R --reference="$1/.." "$1"`, "sh", p.releases()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot make a repository at the SSH server: %w: %s", err, made)
	}
	return nil
}

// writeSSHConfig writes what plain ssh needs, as docs/clients.md has it, without a certificate.
func (p *playground) writeSSHConfig(ctx context.Context) error {
	var bundle corev1.ConfigMap
	if err := p.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: "doorward-trust-bundle"}, &bundle); err != nil {
		return fmt.Errorf("cannot read who signs host keys: %w", err)
	}
	_, port, err := net.SplitHostPort(p.host.Proxy.Address)
	if err != nil {
		return err
	}
	known := filepath.Join(p.Dir, "known_hosts")
	config := fmt.Sprintf(`Host %[1]s
  HostName localhost
  Port %[2]s
  User +%[3]s/%[1]s
  HostKeyAlias localhost
  UserKnownHostsFile "%[4]s"
  StrictHostKeyChecking yes
`, stack.HostConnection, port, stack.Namespace, known)
	return errors.Join(
		os.WriteFile(known, []byte(bundle.Data["known_hosts"]), 0o600),
		os.WriteFile(p.sshConfig(), []byte(config), 0o600),
	)
}

func (p *playground) sshConfig() string { return filepath.Join(p.Dir, "ssh_config") }
