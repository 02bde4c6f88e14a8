// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/test/bench/kit"
	"github.com/doorward/doorward/test/proc"
)

// Names of paths.
const (
	direct   = "direct"
	haproxy  = "haproxy"
	sshpiper = "sshpiper"
	doorward = "doorward"
	rival    = "doorward, the rival"
)

// path is a way to the target.
type path struct {
	name string
	port string
	// known trusts the host key that is shown.
	known string
	// plain says that the client logs in with a key that has no certificate, and
	// knows the host by its key.
	plain bool
	// pid is the process in between, 0 for none; telling is where it tells of
	// itself, empty where it does not.
	pid     int
	telling string
}

// Responses of which the most is kept.
const responsesMasked = "Masked"

// peers are the paths that are compared.
func (p *place) peers(ctx context.Context, s settings) ([]path, error) {
	straight, err := p.direct()
	if err != nil {
		return nil, err
	}
	balanced, err := p.haproxy(ctx, p.target.Address(), straight.known)
	if err != nil {
		return nil, err
	}
	paths := []path{straight, balanced}
	if s.sshpiper != "" {
		piped, err := p.sshpiper(ctx, s.sshpiper, p.target.Address(), p.target.HostKey)
		if err != nil {
			return nil, err
		}
		paths = append(paths, piped)
	}
	spec := p.spec()
	spec.Responses = responsesMasked
	for _, build := range []struct{ name, program string }{{doorward, ""}, {rival, s.rival}} {
		if build.name == rival && s.rival == "" {
			continue
		}
		spec.Spool = p.spool()
		proxied, err := p.partial(ctx, build.name, build.program, spec)
		if err != nil {
			return nil, err
		}
		paths = append(paths, proxied)
	}
	return paths, nil
}

// direct has nothing in between.
func (p *place) direct() (path, error) {
	known := p.file("known_hosts")
	line := "@cert-authority * " + string(ssh.MarshalAuthorizedKey(p.host.PublicKey()))
	if err := os.WriteFile(known, []byte(line), 0o600); err != nil {
		return path{}, fmt.Errorf("cannot write known_hosts: %w", err)
	}
	return path{name: direct, port: strconv.Itoa(p.target.Port), known: known}, nil
}

// spec is the proxy's, without a record.
func (p *place) spec() partialSpec {
	return partialSpec{
		Host: p.target.Host, Port: p.target.Port, HostKey: string(ssh.MarshalAuthorizedKey(p.target.HostKey)),
		Account: p.account, Authority: p.authority,
	}
}

// spool is the folder of a new log.
func (p *place) spool() string {
	p.made++
	return filepath.Join(p.logs, strconv.Itoa(p.made))
}

// partial starts the proxy, or parts of it.
func (p *place) partial(ctx context.Context, name, build string, spec partialSpec) (path, error) {
	h, err := p.help(ctx, build, "partial", spec)
	if err != nil {
		return path{}, err
	}
	if len(h.Said) != 3 {
		return path{}, fmt.Errorf("cannot read what %q said: %q", name, h.Said)
	}
	_, port, err := net.SplitHostPort(h.Said[0])
	return path{name: name, port: port, known: h.Said[2], pid: h.PID(), telling: h.Said[1]}, err
}

// haproxyConfig is a TCP proxy with as many threads as there are processors.
const haproxyConfig = `global
  maxconn 8192
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
frontend ssh
  bind 127.0.0.1:%d
  default_backend sshd
backend sshd
  server target %s
`

var errNoHAProxy = errors.New("no haproxy: run `hack/install-deps.sh bench`, or install it (Debian: apt-get install haproxy)")

// haproxy passes TCP on.
func (p *place) haproxy(ctx context.Context, target, known string) (path, error) {
	program, err := program("haproxy", "/usr/sbin/haproxy")
	if err != nil {
		return path{}, errors.Join(errNoHAProxy, err)
	}
	port, err := proc.FreePort(ctx)
	if err != nil {
		return path{}, err
	}
	config := p.file(fmt.Sprintf("haproxy-%d.cfg", port))
	if err := os.WriteFile(config, fmt.Appendf(nil, haproxyConfig, port, target), 0o600); err != nil {
		return path{}, fmt.Errorf("cannot configure haproxy: %w", err)
	}
	started, err := p.serve(ctx, port, proc.Command{Path: program, Args: []string{"-db", "-f", config}, Output: p.file("haproxy.log")})
	if err != nil {
		return path{}, err
	}
	return path{name: haproxy, port: strconv.Itoa(port), known: known, pid: started.PID()}, nil
}

// sshpiper passes SSH on, with a key of its own to the target. Its 0.x line knows
// no certificates of users.
func (p *place) sshpiper(ctx context.Context, program, target string, hostKey ssh.PublicKey) (path, error) {
	port, err := proc.FreePort(ctx)
	if err != nil {
		return path{}, err
	}
	users := p.file(fmt.Sprintf("sshpiper-%d", port))
	home := filepath.Join(users, p.account)
	own, err := os.ReadFile(p.file("key"))
	if err != nil {
		return path{}, fmt.Errorf("cannot configure sshpiper: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(own)
	if err != nil {
		return path{}, fmt.Errorf("cannot configure sshpiper: %w", err)
	}
	host, known := p.file("sshpiper-host"), p.file(fmt.Sprintf("sshpiper-known-%d", port))
	public := ssh.MarshalAuthorizedKey(signer.PublicKey())
	if err := errors.Join(
		os.MkdirAll(home, 0o700),
		os.WriteFile(host, own, 0o600), // one key in three parts
		os.WriteFile(filepath.Join(home, "authorized_keys"), public, 0o600),
		os.WriteFile(filepath.Join(home, "id_rsa"), own, 0o600),
		os.WriteFile(filepath.Join(home, "sshpiper_upstream"), []byte(p.account+"@"+target+"\n"), 0o600),
		os.WriteFile(filepath.Join(home, "known_hosts"), slices.Concat(knownHost(target, hostKey), []byte("@cert-authority "), knownHost(target, p.host.PublicKey())), 0o600),
		os.WriteFile(known, knownHost(net.JoinHostPort(proc.Loopback, strconv.Itoa(port)), signer.PublicKey()), 0o600),
	); err != nil {
		return path{}, fmt.Errorf("cannot configure sshpiper: %w", err)
	}
	started, err := p.serve(ctx, port, proc.Command{
		Path: program, Output: p.file("sshpiper.log"),
		Args: []string{
			"daemon", "--listen=" + proc.Loopback, "--port=" + strconv.Itoa(port), "--server-key=" + host,
			"--upstream-workingdir=" + users, "--upstream-workingdir-stricthostkey",
		},
	})
	if err != nil {
		return path{}, err
	}
	return path{name: sshpiper, port: strconv.Itoa(port), known: known, plain: true, pid: started.PID()}, nil
}

func knownHost(address string, key ssh.PublicKey) []byte {
	host, port, _ := strings.Cut(address, ":")
	return append([]byte("["+host+"]:"+port+" "), ssh.MarshalAuthorizedKey(key)...)
}

// serve starts a server and waits until it listens.
func (p *place) serve(ctx context.Context, port int, command proc.Command) (*proc.Process, error) {
	return p.ready(proc.StartReady(ctx, command, time.Minute, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(proc.Loopback, strconv.Itoa(port)))
		if err != nil {
			return err
		}
		return conn.Close()
	}))
}

func (p *place) ready(started *proc.Process, err error) (*proc.Process, error) {
	if err == nil {
		p.processes = append(p.processes, started)
	}
	return started, err
}

// cpu is what the process in between took so far.
func (p path) cpu() (time.Duration, error) { return kit.CPUTime(p.pid) }
