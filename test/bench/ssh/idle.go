// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"github.com/doorward/doorward/test/bench/kit"
	"github.com/doorward/doorward/test/proc"
)

const (
	// warmSessions are open before the first measure, so that what is made once counts for
	// no session.
	warmSessions = 100
	// loginsAtOnce is how many clients log in at the same time.
	loginsAtOnce = 16
	// settleTime is for what a login left to do.
	settleTime = 3 * time.Second
)

// benchIdle measures what is held for sessions with a shell in a terminal that do nothing.
func benchIdle(ctx context.Context, s settings, p *place) error {
	key, err := os.ReadFile(p.file("key"))
	if err != nil {
		return fmt.Errorf("cannot read the key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		return fmt.Errorf("cannot read the key: %w", err)
	}
	certificate, err := p.certificate(signer.PublicKey())
	if err != nil {
		return err
	}
	certified, err := ssh.NewCertSigner(certificate, signer)
	if err != nil {
		return fmt.Errorf("cannot use the certificate: %w", err)
	}
	target, err := p.help(ctx, "", "idle-target", idleTargetSpec{Key: key})
	if err != nil {
		return err
	}
	paths, err := p.idlePaths(ctx, s, target.Said[0], signer.PublicKey())
	if err != nil {
		return err
	}
	fmt.Printf("| %d idle shells | KiB of memory for each | heap | stacks |\n|---|---:|---:|---:|\n", s.sessions)
	for _, to := range paths {
		proof := certified
		if to.plain {
			proof = signer
		}
		before, after, err := p.idle(ctx, s, to, proof)
		if err != nil {
			return fmt.Errorf("%s: %w", to.name, err)
		}
		each := func(before, after int64) string {
			return fmt.Sprintf("%.1f", float64(after-before)/float64(s.sessions)/1024)
		}
		heap, stacks := "", ""
		if to.telling != "" {
			heap, stacks = each(before.Heap, after.Heap), each(before.Stacks, after.Stacks)
		}
		fmt.Printf("| %s | %s | %s | %s |\n", to.name, each(before.Resident, after.Resident), heap, stacks)
	}
	fmt.Println()
	return nil
}

// idlePaths lead to the target that holds what is opened.
func (p *place) idlePaths(ctx context.Context, s settings, target string, hostKey ssh.PublicKey) ([]path, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, fmt.Errorf("cannot read the address of the idle target: %w", err)
	}
	balanced, err := p.haproxy(ctx, target, "")
	if err != nil {
		return nil, err
	}
	paths := []path{balanced}
	if s.sshpiper != "" {
		piped, err := p.sshpiper(ctx, s.sshpiper, target, hostKey)
		if err != nil {
			return nil, err
		}
		paths = append(paths, piped)
	}
	spec := p.spec()
	spec.Host, spec.HostKey, spec.Responses, spec.Spool = host, string(ssh.MarshalAuthorizedKey(hostKey)), responsesMasked, p.spool()
	if spec.Port, err = strconv.Atoi(port); err != nil {
		return nil, fmt.Errorf("cannot read the address of the idle target: %w", err)
	}
	proxied, err := p.partial(ctx, doorward, "", spec)
	return append(paths, proxied), err
}

// idle is what the process in between holds before and after sessions came that do nothing.
func (p *place) idle(ctx context.Context, s settings, to path, proof ssh.Signer) (before, after kit.Memory, err error) {
	var clients []*ssh.Client
	defer func() {
		for _, c := range clients {
			_ = c.Close()
		}
	}()
	read := func(more int) (kit.Memory, error) {
		came, err := p.shells(ctx, to, proof, more)
		clients = append(clients, came...)
		if err != nil {
			return kit.Memory{}, err
		}
		select {
		case <-time.After(settleTime):
		case <-ctx.Done():
			return kit.Memory{}, ctx.Err()
		}
		return kit.ReadMemory(ctx, to.telling, to.pid)
	}
	if before, err = read(warmSessions); err != nil {
		return before, after, err
	}
	if after, err = read(s.sessions); err != nil || s.profiles == "" || to.telling == "" {
		return before, after, err
	}
	for _, which := range []string{"heap", "goroutine"} {
		taken, err := kit.FetchProfile(ctx, to.telling, which)
		if err != nil {
			return before, after, err
		}
		if err := kit.KeepProfile(taken, s.profiles, "idle-"+which); err != nil {
			return before, after, err
		}
	}
	return before, after, nil
}

// shells logs clients in, each of which starts a shell in a terminal.
func (p *place) shells(ctx context.Context, to path, proof ssh.Signer, count int) ([]*ssh.Client, error) {
	var mu sync.Mutex
	var clients []*ssh.Client
	config := &ssh.ClientConfig{
		Config: ssh.Config{Ciphers: strings.Split(ciphers, ","), KeyExchanges: strings.Split(keyExchange, ",")},
		User:   p.account, Auth: []ssh.AuthMethod{ssh.PublicKeys(proof)}, Timeout: time.Minute,
		HostKeyCallback: func(string, net.Addr, ssh.PublicKey) error { return nil }, // memory is what matters
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loginsAtOnce)
	for range count {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			client, err := ssh.Dial("tcp", net.JoinHostPort(proc.Loopback, to.port), config)
			if err != nil {
				return fmt.Errorf("cannot log in: %w", err)
			}
			mu.Lock()
			clients = append(clients, client)
			mu.Unlock()
			session, err := client.NewSession()
			if err == nil {
				err = session.RequestPty("xterm", 24, 80, nil)
			}
			if err == nil {
				err = session.Shell()
			}
			return err
		})
	}
	return clients, group.Wait()
}
