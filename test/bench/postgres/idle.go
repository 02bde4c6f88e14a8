// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/google/pprof/profile"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/bench/kit"
	"github.com/doorward/doorward/test/stack"
)

// warmSessions are open before the first measure, so that what is made once
// counts for no session.
const warmSessions = 100

// loginsAtOnce is how many clients log in at the same time.
const loginsAtOnce = 16

// benchIdle measures what the proxy holds for sessions that have run one
// statement and then do nothing. The target only speaks start-up and idles.
func benchIdle(ctx context.Context, s settings, p *place) (err error) {
	specPath, err := p.write(idleTargetSpec{Real: p.postgres.DSN(stack.Role, p.password, stack.Database), Certificates: p.certificates})
	if err != nil {
		return err
	}
	idler, err := p.start(ctx, "--idle-target="+specPath)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(idler.port)
	if err != nil {
		return fmt.Errorf("cannot read the address of the idle target: %w", err)
	}
	authority, err := os.ReadFile(p.ca)
	if err != nil {
		return fmt.Errorf("cannot read the authority: %w", err)
	}
	proxy, err := p.serve(ctx, doorward, partialSpec{
		Snapshot: p.snapshot(snapshot.Target{Host: "127.0.0.1", Port: int32(port)}, string(authority), nil), Log: logEncode,
	})
	if err != nil {
		return err
	}
	var clients []*pgconn.PgConn
	defer func() {
		for _, c := range clients {
			_ = c.Conn().Close() // thousands at once: nobody says goodbye
		}
	}()
	more, err := login(ctx, proxy, warmSessions)
	clients = append(clients, more...)
	if err != nil {
		return err
	}
	before, err := kit.ReadMemory(ctx, proxy.telling, proxy.pid)
	if err != nil {
		return err
	}
	more, err = login(ctx, proxy, s.sessions)
	clients = append(clients, more...)
	if err != nil {
		return err
	}
	after, err := kit.ReadMemory(ctx, proxy.telling, proxy.pid)
	if err != nil {
		return err
	}
	inTLS, rest, err := heapOf(ctx, proxy.telling)
	if err != nil {
		return err
	}
	each := func(before, after int64) float64 { return float64(after-before) / float64(s.sessions) / 1024 }
	fmt.Printf("| %d idle sessions | KiB for each |\n|---|---:|\n", s.sessions)
	heap := each(before.Heap, after.Heap)
	tlsShare := heap * float64(inTLS) / float64(inTLS+rest)
	fmt.Printf("| resident memory of the proxy | %.1f |\n", each(before.Resident, after.Resident))
	fmt.Printf("| heap | %.1f |\n| of it made by crypto/tls | %.1f |\n| stacks | %.1f |\n| heap and stacks beside TLS | %.1f |\n\n",
		heap, tlsShare, each(before.Stacks, after.Stacks), heap-tlsShare+each(before.Stacks, after.Stacks))
	return nil
}

// login opens sessions, each of which runs one statement.
func login(ctx context.Context, p path, count int) ([]*pgconn.PgConn, error) {
	var mu sync.Mutex
	var clients []*pgconn.PgConn
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loginsAtOnce)
	for range count {
		group.Go(func() error {
			conn, err := connect(ctx, p)
			if err != nil {
				return err
			}
			mu.Lock()
			clients = append(clients, conn)
			mu.Unlock()
			_, err = conn.Exec(ctx, "SELECT 1").ReadAll()
			return err
		})
	}
	return clients, group.Wait()
}

// heapOf splits what a process holds on its heap, from a profile.
func heapOf(ctx context.Context, address string) (inTLS, rest int64, err error) {
	parsed, err := kit.FetchProfile(ctx, address, "heap?gc=1")
	if err != nil {
		return 0, 0, err
	}
	value := len(parsed.SampleType) - 1 // bytes in use are the last value
	for _, sample := range parsed.Sample {
		if hasPrefix(sample, "crypto/") {
			inTLS += sample.Value[value]
		} else {
			rest += sample.Value[value]
		}
	}
	return inTLS, rest, nil
}

// hasPrefix says whether a function whose name begins so is on a sample's stack.
func hasPrefix(sample *profile.Sample, prefix string) bool {
	for _, location := range sample.Location {
		for _, line := range location.Line {
			if strings.HasPrefix(line.Function.Name, prefix) {
				return true
			}
		}
	}
	return false
}
