// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
)

// tmpfs is where a sync costs nothing.
const tmpfs = "/dev/shm"

// inMemory is a second proxy with its log on a tmpfs.
const inMemory = "doorward, log in memory"

// benchPeers compares Doorward as it is run with its peers.
func benchPeers(ctx context.Context, s settings, p *place, st *stack.Stack) (err error) {
	if err := allow(ctx, st, stack.Connection); err != nil {
		return err
	}
	bouncer, err := pgtest.StartPgBouncer(ctx, p.postgres, map[string]string{stack.Role: p.password})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bouncer.Stop()) }()
	relay, err := p.relay(ctx)
	if err != nil {
		return err
	}
	token, err := st.Issuer.Token(stack.GatewayAudience, "alice", "analysts")
	if err != nil {
		return err
	}
	proxy := path{name: doorward, env: target(portOf(st.Proxy().Address), token, st.CAPath), pid: st.Proxy().PID(), telling: st.Proxy().PprofAddress}
	paths := []path{
		p.direct(), {name: pgbouncer, env: target(strconv.Itoa(bouncer.Port), p.password, p.postgres.CAPath), pid: bouncer.PID()}, relay, proxy,
	}
	memory, err := startInMemory(ctx, st)
	if err != nil {
		return err
	}
	if memory != nil {
		// Its log goes with it, so it must have ended.
		defer func() { err = errors.Join(err, memory.Stop(), os.RemoveAll(memory.Spool)) }()
	}
	for _, script := range []string{selectOnly, tpcbLike} {
		for _, mode := range s.modes {
			for _, clients := range s.clients {
				taking := paths
				if memory != nil && script == selectOnly && mode == prepared {
					taking = append(taking[:len(taking):len(taking)],
						path{name: inMemory, env: target(portOf(memory.Address), token, st.CAPath), pid: memory.PID()})
				}
				if err := compare(ctx, s, p, taking, workload{script: script, mode: mode, clients: clients}); err != nil {
					return err
				}
			}
		}
	}
	return profileLayers(ctx, p.postgres.BinDir, proxy, proxy.telling, s)
}

// benchLayers compares the layers of the proxy with the plain relay.
func benchLayers(ctx context.Context, s settings, p *place) error {
	relay, err := p.relay(ctx)
	if err != nil {
		return err
	}
	paths := []path{p.direct(), relay}
	layers, err := p.layers(ctx, s.only)
	if err != nil {
		return err
	}
	paths = append(paths, layers...)
	if s.rival != "" {
		p.build = s.rival
		layers, err := p.layers(ctx, s.only)
		p.build = ""
		if err != nil {
			return err
		}
		for _, l := range layers {
			l.name = "rival: " + l.name
			paths = append(paths, l)
		}
	}
	for _, clients := range s.clients {
		if err := compare(ctx, s, p, paths, workload{script: selectOnly, mode: prepared, clients: clients}); err != nil {
			return err
		}
	}
	for _, l := range paths {
		if l.name == layerMask || l.name == layerDisk {
			if err := profileLayers(ctx, p.postgres.BinDir, l, l.telling, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare lets paths take turns at a workload and prints what came of it.
func compare(ctx context.Context, s settings, p *place, paths []path, w workload) error {
	results, err := measure(ctx, p.postgres.BinDir, paths, w, turns{rounds: s.rounds, duration: s.duration})
	if err != nil {
		return err
	}
	report(os.Stdout, paths, results, w)
	return nil
}

// startInMemory starts the second proxy, or returns nil where there is no tmpfs.
func startInMemory(ctx context.Context, s *stack.Stack) (*stack.Proxy, error) {
	if _, err := os.Stat(tmpfs); err != nil {
		fmt.Println("There is no", tmpfs, "on this machine: what the sync costs is not measured")
		return nil, nil //nolint:nilnil,nilerr // measured where it can be
	}
	spool, err := os.MkdirTemp(tmpfs, "doorward-bench-")
	if err != nil {
		return nil, fmt.Errorf("cannot keep a log in memory: %w", err)
	}
	port, err := proc.FreePort(ctx)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(spool))
	}
	p, err := s.StartProxy(ctx, stack.ProxyOptions{Connection: stack.Connection, Port: port, Instance: "in-memory", Spool: spool})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(spool))
	}
	return p, nil
}
