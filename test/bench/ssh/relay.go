// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/test/bench/kit"
)

// relaySpec is what a relay is given: the simplest one of x/crypto/ssh, which lets
// everybody in and passes on every channel and request. It is the measure of what
// the library costs with two sessions.
type relaySpec struct {
	// Address and HostKey, a line of authorized_keys, are the target's.
	Address, HostKey string
	// Account is logged in to, with the Key, which is also the relay's own host key.
	Account string
	Key     []byte
}

// relayChunk is a buffer of a relay, in bytes.
const relayChunk = 32 << 10

// serveRelay serves until ctx ends. It says its address, and where it tells of itself.
func serveRelay(ctx context.Context, specPath string) error {
	var spec relaySpec
	if err := readSpec(specPath, &spec); err != nil {
		return err
	}
	key, err := ssh.ParsePrivateKey(spec.Key)
	if err != nil {
		return fmt.Errorf("cannot read the key: %w", err)
	}
	hostKey, _, _, _, err := ssh.ParseAuthorizedKey([]byte(spec.HostKey))
	if err != nil {
		return fmt.Errorf("cannot read the target's host key: %w", err)
	}
	crypt := ssh.Config{KeyExchanges: strings.Split(keyExchange, ",")}
	config := &ssh.ServerConfig{
		Config:            crypt,
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }, //nolint:nilnil // everybody
	}
	config.AddHostKey(key)
	outward := &ssh.ClientConfig{
		Config: crypt, User: spec.Account, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.FixedHostKey(hostKey), HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	telling, err := kit.Tell(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, listener.Addr(), telling)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil // the listener was closed: the parent ended
		}
		go func() {
			if err := relaySession(conn, config, spec.Address, outward); err != nil && !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, "relay:", err)
			}
		}()
	}
}

// relaySession relays one client's connection.
func relaySession(conn net.Conn, config *ssh.ServerConfig, address string, outward *ssh.ClientConfig) error {
	client, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return err
	}
	defer client.Close()
	go ssh.DiscardRequests(requests)
	target, err := ssh.Dial("tcp", address, outward)
	if err != nil {
		return err
	}
	defer target.Close()
	for asked := range channels {
		there, back, err := target.OpenChannel(asked.ChannelType(), asked.ExtraData())
		if err != nil {
			return err
		}
		here, ask, err := asked.Accept()
		if err != nil {
			return err
		}
		go relayChannel(here, there, ask, back)
	}
	return nil
}

func relayChannel(here, there ssh.Channel, ask, back <-chan *ssh.Request) {
	pass := func(to ssh.Channel, requests <-chan *ssh.Request) {
		for r := range requests {
			ok, _ := to.SendRequest(r.Type, r.WantReply, r.Payload)
			_ = r.Reply(ok, nil)
		}
	}
	var output sync.WaitGroup
	copying := func(to io.Writer, from io.Reader) {
		_, _ = io.CopyBuffer(struct{ io.Writer }{to}, from, make([]byte, relayChunk))
	}
	output.Go(func() { copying(here, there) })
	output.Go(func() { copying(here.Stderr(), there.Stderr()) })
	go pass(there, ask)
	go func() {
		copying(there, here)
		_ = there.CloseWrite()
	}()
	output.Wait()
	pass(here, back)
	_ = here.Close()
	_ = there.Close()
}

// relay is the path through one.
func (p *place) relay(ctx context.Context, name string) (path, error) {
	key, err := os.ReadFile(p.file("key"))
	if err != nil {
		return path{}, fmt.Errorf("cannot read the key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		return path{}, fmt.Errorf("cannot read the key: %w", err)
	}
	h, err := p.help(ctx, "", "relay", relaySpec{
		Address: p.target.Address(), HostKey: string(ssh.MarshalAuthorizedKey(p.target.HostKey)), Account: p.account, Key: key,
	})
	if err != nil {
		return path{}, err
	}
	_, port, err := net.SplitHostPort(h.Said[0])
	if err != nil || len(h.Said) != 2 {
		return path{}, fmt.Errorf("cannot read what %q said: %q: %w", name, h.Said, err)
	}
	known := p.file("relay-known-" + port)
	err = os.WriteFile(known, knownHost(h.Said[0], signer.PublicKey()), 0o600)
	return path{name: name, port: port, known: known, plain: true, pid: h.PID(), telling: h.Said[1]}, err
}
