// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"github.com/doorward/doorward/test/bench/kit"
)

// The layers, each the one before and one thing more. SSH has nothing to mask yet, and
// deciding cannot be switched off in a proxy that fails closed.
const (
	layerRelay    = "relay of x/crypto/ssh"
	layerProtocol = "+ protocol, parse, decide"
	layerRecord   = "+ record, on disk"
	layerAnswers  = "+ responses: Masked"
)

const module = "github.com/doorward/doorward/"

// profiled are the layers of a CPU profile.
var profiled = []kit.Layer{
	{Name: "record: sync", Prefixes: []string{module + "proxy/record/spool.(*Log).flush"}},
	{Name: "record: checkpoint", Prefixes: []string{module + "proxy/record/spool.(*Log).notarise", module + "proxy/record/spool.(*Log).hand"}},
	{Name: "record: recording", Prefixes: []string{module + "proxy/record/cast", module + "proxy/protocol/ssh.(*tape)"}},
	{Name: "record: digest of files", Prefixes: []string{module + "proxy/protocol/ssh/sftp.(*sequence)", module + "proxy/protocol/ssh/sftp.(*digester)"}},
	{Name: "record: answers", Prefixes: []string{module + "proxy/access.(*Answer)"}},
	{Name: "record: write", Prefixes: []string{module + "proxy/record"}},
	{Name: "mask", Prefixes: []string{module + "proxy/mask"}},
	{Name: "decide", Prefixes: []string{module + "proxy/policy", "github.com/open-policy-agent/"}},
	{Name: "parse", Prefixes: []string{module + "proxy/protocol/ssh/command", "mvdan.cc/sh/"}},
	{Name: "relay: sockets", Prefixes: []string{"net.", "internal/poll."}},
	{Name: "SSH: handshake", Prefixes: []string{"golang.org/x/crypto/ssh.NewServerConn", "golang.org/x/crypto/ssh.NewClientConn", "golang.org/x/crypto/ssh.(*handshakeTransport).enterKeyExchange"}},
	{Name: "SSH: cipher", Prefixes: []string{"crypto/"}},
	{Name: "SSH: packets", Prefixes: []string{"golang.org/x/crypto/ssh."}},
	{Name: "road", Prefixes: []string{module + "proxy/access"}},
	{Name: "relay: protocol", Prefixes: []string{module + "proxy/protocol", module + "proxy/relay"}},
	{Name: "scheduler, garbage", Prefixes: []string{"runtime.", "internal/runtime/"}},
}

// benchLayers compares the layers of the proxy with a relay that does nothing else.
func benchLayers(ctx context.Context, s settings, p *place) error {
	straight, err := p.direct()
	if err != nil {
		return err
	}
	relay, err := p.relay(ctx, layerRelay)
	if err != nil {
		return err
	}
	paths := []path{straight, relay}
	for _, name := range []string{layerProtocol, layerRecord, layerAnswers} {
		spec := p.spec()
		if name != layerProtocol {
			spec.Spool = p.spool()
		}
		if name == layerAnswers {
			spec.Responses = responsesMasked
		}
		made, err := p.partial(ctx, name, "", spec)
		if err != nil {
			return err
		}
		paths = append(paths, made)
	}
	last := paths[len(paths)-1]
	err = p.compare(ctx, s, paths, func(masters []*master, flows []flow) error {
		for _, f := range flows {
			for _, m := range []*master{masters[1], masters[len(masters)-1]} {
				if err := profileFlow(ctx, s, f, m); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil || !strings.Contains(partLogin, s.only) {
		return err
	}
	return p.profileLogins(ctx, s, last)
}

// profileFlow moves content while the process in between takes a CPU profile of itself.
func profileFlow(ctx context.Context, s settings, f flow, m *master) error {
	taken, moved, cpu, err := profiling(ctx, m.path, func() error {
		_, err := f.move(ctx, m)
		return err
	})
	if err != nil {
		return err
	}
	if err := kit.KeepProfile(taken, s.profiles, file(m.name+" "+f.name)); err != nil {
		return err
	}
	perGB := time.Duration(float64(cpu) / (float64(moved) * float64(f.size)) * 1e9)
	return kit.PrintLayers(os.Stdout, taken, profiled, f.name+", "+m.name, "GB", perGB)
}

// profileLogins does the same with logins.
func (p *place) profileLogins(ctx context.Context, s settings, to path) error {
	taken, count, cpu, err := profiling(ctx, to, func() error {
		_, err := p.logIn(ctx, to)
		return err
	})
	if err != nil {
		return err
	}
	if err := kit.KeepProfile(taken, s.profiles, file(to.name+" login")); err != nil {
		return err
	}
	return kit.PrintLayers(os.Stdout, taken, profiled, "logins, "+to.name, "login", cpu/time.Duration(count))
}

// profileTime is how long a CPU profile is taken, so that small layers show.
const profileTime = 8 * time.Second

// profiling calls work again and again while a process takes a CPU profile of itself, and
// says how often, and what CPU time that took.
func profiling(ctx context.Context, of path, work func() error) (taken *profile.Profile, count int, cpu time.Duration, err error) {
	before, err := of.cpu()
	if err != nil {
		return nil, 0, 0, err
	}
	var fetched error
	done := make(chan struct{})
	go func() {
		defer close(done)
		taken, fetched = kit.FetchCPU(ctx, of.telling, profileTime)
	}()
	for over := false; err == nil && !over; {
		err = work()
		count++
		select {
		case <-done:
			over = true
		default:
		}
	}
	<-done
	after, err2 := of.cpu()
	if err := errors.Join(err, fetched, err2); err != nil {
		return nil, 0, 0, fmt.Errorf("cannot profile %s: %w", of.name, err)
	}
	return taken, count, after - before, nil
}

// file is a name for a file.
func file(what string) string {
	return filepath.Base(strings.NewReplacer("+ ", "", " ", "-", ",", "", ":", "", "/", "-").Replace(what))
}
