// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/protocol/ssh"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/gateway"
	"github.com/doorward/doorward/test/proc"
)

// regress is a folder in which OpenSSH's scripts run, unchanged. They are given programs of ours in
// the place of ssh and sshd. On the direct way these are the real ones. Through the proxy, its port
// is the one that the scripts take for sshd's, and who runs "sshd -i" gets a connection to it; the
// target behind it runs the real "sshd -i" for each connection, by the configuration that the
// script has just written. All have the script's ed25519 key: it is the host key of both, and what
// the proxy logs in with; the client has a certificate of it, which the proxy takes.
type regress struct {
	root, dir string
	port      int

	gateway  *gateway.Gateway
	listener net.Listener
	serving  sync.WaitGroup
	stop     context.CancelFunc
}

func (r *regress) path(name string) string { return filepath.Join(r.dir, name) }

// The servers that are OpenSSH's.
const (
	realSSHD       = "/usr/sbin/sshd"
	realSFTPServer = "/usr/lib/openssh/sftp-server"
)

func openRegress(ctx context.Context, source string, proxied bool) (_ *regress, err error) {
	r := &regress{stop: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.root, err = os.MkdirTemp("", "doorward-regress-"); err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	r.dir = filepath.Join(r.root, "regress")
	if err := os.CopyFS(r.dir, os.DirFS(source)); err != nil {
		return nil, fmt.Errorf("cannot copy the tests: %w", err)
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // which sshd wants
			return nil, err
		}
	}
	if !proxied {
		if r.port, err = proc.FreePort(ctx); err != nil {
			return nil, err
		}
		return r, errors.Join(
			r.program("through-ssh", `exec ssh "$@"`),
			r.program("through-sshd", `exec `+realSSHD+` -oUsePAM=no "$@"`),
			r.program("through-sftp-server", `exec `+realSFTPServer+` "$@"`),
		)
	}
	err = r.interpose(ctx)
	return r, err
}

// interpose starts the target and the proxy before it.
func (r *regress) interpose(ctx context.Context) error {
	me, err := user.Current()
	if err != nil {
		return fmt.Errorf("cannot tell who runs the tests: %w", err)
	}
	key, err := r.key(ctx, me.Username)
	if err != nil {
		return err
	}
	if r.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(proc.Loopback, "0")); err != nil {
		return err
	}
	serving, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.serving.Go(func() { r.serve(serving) })
	public, err := os.ReadFile(r.path("ssh-ed25519.pub"))
	if err != nil {
		return err
	}
	address, ok := r.listener.Addr().(*net.TCPAddr)
	if !ok {
		return errors.New("no TCP address")
	}
	fields := strings.Fields(string(public))
	r.gateway, err = gateway.Start(ctx, gateway.Config{
		Protocol: ssh.New(), TLS: snapshot.TLS{Mode: "Disabled"}, HostKey: key,
		Options:    map[string]any{"hostKeys": []string{fields[0] + " " + fields[1]}},
		Target:     snapshot.Target{Host: proc.Loopback, Port: int32(address.Port)},
		Credential: map[string][]byte{"username": []byte(me.Username), "ssh-privatekey": key},
	})
	if err != nil {
		return err
	}
	r.port = r.gateway.Port
	return r.programs(ctx)
}

// key makes the key, and the certificate that clients find beside it. The scripts make no other
// where there is one.
func (r *regress) key(ctx context.Context, principal string) ([]byte, error) {
	path := r.path("ssh-ed25519")
	if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", path).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot make a key: %w: %s", err, out)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	signer, err := gossh.ParsePrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key: %w", err)
	}
	now := time.Now()
	certificate := &gossh.Certificate{
		Key: signer.PublicKey(), CertType: gossh.UserCert, KeyId: "regress", ValidPrincipals: []string{principal},
		ValidAfter: uint64(now.Add(-time.Minute).Unix()), ValidBefore: uint64(now.Add(24 * time.Hour).Unix()),
	}
	if err := certificate.SignCert(rand.Reader, signer); err != nil {
		return nil, fmt.Errorf("cannot certify the key: %w", err)
	}
	return key, os.WriteFile(path+"-cert.pub", gossh.MarshalAuthorizedKey(certificate), 0o600)
}

// serve gives each connection an sshd of its own, as the script has configured it last.
func (r *regress) serve(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		running.Go(func() {
			defer conn.Close()
			if err := r.sshd(ctx, conn); err != nil && ctx.Err() == nil {
				var exit *exec.ExitError // as sshd ends where its client leaves
				if !errors.As(err, &exit) {
					fmt.Fprintln(os.Stderr, "peer-suites: the target:", err)
				}
			}
		})
	}
}

func (r *regress) sshd(ctx context.Context, conn net.Conn) error {
	arguments, err := os.ReadFile(r.path("serving"))
	if err != nil {
		return fmt.Errorf("no script has started sshd: %w", err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return errors.New("no TCP connection")
	}
	file, err := tcp.File()
	if err != nil {
		return err
	}
	defer file.Close()
	_ = conn.Close() // sshd alone has it
	asked := strings.Split(strings.TrimSpace(string(arguments)), "\n")
	command := exec.CommandContext(ctx, realSSHD, append([]string{"-oUsePAM=no", "-i"}, asked...)...)
	command.Stdin, command.Stdout = file, file
	return command.Run()
}

// programs writes what the scripts take for ssh and sshd.
func (r *regress) programs(ctx context.Context) error {
	offers, err := r.offers(ctx)
	if err != nil {
		return err
	}
	// Of algorithms the scripts try those that ssh says it has: here, what both sides have.
	lists := ""
	for _, kind := range []string{"kex", "cipher", "cipher-auth", "mac"} {
		lists += fmt.Sprintf("*' -Q %s '*) printf '%%s\\n' %s; exit ;;\n", kind, strings.Join(offers[kind], " "))
	}
	daemon := `
case " $* " in
*' -t '* | *' -T '*) exec ` + realSSHD + ` -oUsePAM=no "$@" ;;
esac
printf '%s\n' "$@" >'DIR/serving.new' && mv 'DIR/serving.new' 'DIR/serving'
case " $* " in
*' -i '*) exec 'SELF' -relay 127.0.0.1:PORT ;;
esac
(
	trap 'rm -f DIR/pidfile; exit 0' TERM
	while :; do
		sleep 1 &
		wait $!
	done
) </dev/null >/dev/null 2>&1 &
echo $! >'DIR/pidfile'
`
	self, err := os.Executable()
	if err != nil {
		return err
	}
	daemon = strings.NewReplacer("DIR", r.dir, "SELF", self, "PORT", strconv.Itoa(r.port)).Replace(daemon)
	// What stands for the ssh of scp runs the command here.
	const here = `exec $SCP "$@"`
	wrapper, err := os.ReadFile(r.path("scp-ssh-wrapper.sh"))
	if err != nil || !strings.Contains(string(wrapper), here) {
		return fmt.Errorf("scp-ssh-wrapper.sh runs nothing by %s: %w", here, err)
	}
	return errors.Join(
		os.WriteFile(r.path("scp-ssh-wrapper.sh"), []byte(strings.ReplaceAll(string(wrapper), here, "exec ssh -F "+r.path("ssh_proxy")+` somehost "$arg"`)), 0o700),
		r.program("through-sftp-server", `[ -z "$SSH_CONNECTION" ] || exec `+realSFTPServer+` "$@"
exec ssh -q -F `+r.path("ssh_proxy")+` -s somehost sftp`),
		r.program("through-ssh", "case \" $* \" in\n"+lists+"esac\nexec ssh \"$@\""),
		r.program("through-sshd", daemon),
	)
}

func (r *regress) program(name, text string) error {
	return os.WriteFile(r.path(name), []byte("#!/bin/sh\n"+text+"\n"), 0o700)
}

// relayTo carries standard input and output to an address, and ends when that does, as "sshd -i"
// would: OpenSSH's netcat waits for its input, too.
func relayTo(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_, _ = io.Copy(tcp, os.Stdin)
			_ = tcp.CloseWrite()
		}
	}()
	_, err = io.Copy(os.Stdout, conn)
	return err
}

// offers are the algorithms that both the client and the proxy have, by the words of ssh -Q.
func (r *regress) offers(ctx context.Context) (map[string][]string, error) {
	// It ends by the host key that it does not know.
	said, _ := exec.CommandContext(ctx, "ssh", "-vv", "-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes",
		"-p", strconv.Itoa(r.port), proc.Loopback, "true").CombinedOutput()
	_, proposal, found := strings.Cut(string(said), "peer server KEXINIT proposal")
	if !found {
		return nil, fmt.Errorf("the proxy proposes no algorithms:\n%s", said)
	}
	lines := map[string]string{"kex": "KEX algorithms: ", "cipher": "ciphers ctos: ", "cipher-auth": "ciphers ctos: ", "mac": "MACs ctos: "}
	all := map[string][]string{}
	for kind, name := range lines {
		_, rest, _ := strings.Cut(proposal, name)
		line, _, _ := strings.Cut(rest, "\n")
		known, err := exec.CommandContext(ctx, "ssh", "-Q", kind).Output()
		if err != nil {
			return nil, fmt.Errorf("ssh does not say what it has: %w", err)
		}
		for _, algorithm := range strings.Split(strings.TrimSpace(line), ",") {
			if strings.Contains("\n"+string(known), "\n"+algorithm+"\n") {
				all[kind] = append(all[kind], algorithm)
			}
		}
		if len(all[kind]) == 0 {
			return nil, fmt.Errorf("the client and the proxy have no %s in common:\n%s", kind, said)
		}
	}
	return all, nil
}

// forget ends what stands for a script's sshd, where the script has not.
func (r *regress) forget() {
	content, err := os.ReadFile(r.path("pidfile"))
	if err != nil {
		return
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(content))); err == nil && pid > 1 {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	_ = os.Remove(r.path("pidfile"))
}

func (r *regress) close() (err error) {
	r.stop()
	if r.gateway != nil {
		err = r.gateway.Stop()
	}
	if r.listener != nil {
		err = errors.Join(err, r.listener.Close())
	}
	r.serving.Wait()
	if r.root != "" {
		err = errors.Join(err, os.RemoveAll(r.root))
	}
	return err
}
