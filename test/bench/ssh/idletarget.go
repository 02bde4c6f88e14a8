// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

// idleTargetSpec is what a target for thousands of idle sessions is given: a thousand of
// sshd's would measure the machine.
type idleTargetSpec struct {
	// Key is the host key.
	Key []byte
}

// serveIdleTarget lets everybody in and holds whatever is opened, until ctx ends. It says
// its address.
func serveIdleTarget(ctx context.Context, specPath string) error {
	var spec idleTargetSpec
	if err := readSpec(specPath, &spec); err != nil {
		return err
	}
	key, err := ssh.ParsePrivateKey(spec.Key)
	if err != nil {
		return fmt.Errorf("cannot read the host key: %w", err)
	}
	config := &ssh.ServerConfig{
		Config:            ssh.Config{KeyExchanges: strings.Split(keyExchange, ",")},
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }, //nolint:nilnil // everybody
	}
	config.AddHostKey(key)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	fmt.Fprintln(os.Stdout, listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil // the listener was closed: the parent ended
		}
		go hold(conn, config)
	}
}

// hold answers whatever is asked for with yes, and does nothing.
func hold(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go agree(requests)
	for asked := range channels {
		if _, requests, err := asked.Accept(); err == nil {
			go agree(requests)
		}
	}
}

func agree(requests <-chan *ssh.Request) {
	for r := range requests {
		_ = r.Reply(true, nil)
	}
}
