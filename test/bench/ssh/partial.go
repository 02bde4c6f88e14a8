// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/test/bench/kit"
	"github.com/doorward/doorward/test/gateway"
	"github.com/doorward/doorward/test/sshd"
)

// partialSpec is what a process that serves with parts of the proxy is given.
type partialSpec struct {
	// Host, Port and HostKey, a line of authorized_keys, are the target's.
	Host, HostKey string
	Port          int
	// Account is logged in to, with certificates of the Authority.
	Account   string
	Authority ed25519.PrivateKey
	// Spool is the folder of the log; no record is kept where it is empty.
	Spool string
	// Responses is spec.audit.responses.
	Responses string
}

// maxLog bounds a log that no sink takes records from, in bytes.
const maxLog = 8 << 30

// servePartial serves one Connection with the proxy's own packages. It says the
// addresses of the Connection and of what it tells of itself, and the file that
// trusts its host key, on standard output.
func servePartial(ctx context.Context, specPath string) (err error) {
	var spec partialSpec
	if err := readSpec(specPath, &spec); err != nil {
		return err
	}
	debug.SetGCPercent(400) // as the proxy does
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(spec.HostKey))
	if err != nil {
		return fmt.Errorf("cannot read the target's host key: %w", err)
	}
	config, err := gateway.SSH(&sshd.Server{Host: spec.Host, Port: spec.Port, HostKey: key}, spec.Account, spec.Authority, nil)
	if err != nil {
		return err
	}
	config.Audit.Responses = spec.Responses
	if spec.Spool != "" {
		log, openErr := spool.Open(ctx, spool.Options{Dir: spec.Spool, MaxBytes: maxLog})
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, log.Close()) }()
		config.Log = log
	}
	g, err := gateway.Start(ctx, config)
	if err != nil {
		return err
	}
	telling, err := kit.Tell(ctx)
	if err != nil {
		return errors.Join(err, g.Stop())
	}
	fmt.Fprintf(os.Stdout, "%s:%d %s %s\n", g.Host, g.Port, telling, g.KnownHostsPath)
	<-ctx.Done()
	return g.Stop()
}
