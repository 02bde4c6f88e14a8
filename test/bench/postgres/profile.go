// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"github.com/doorward/doorward/test/bench/kit"
)

const module = "github.com/doorward/doorward/"

// allLayers are the parts of the proxy's work.
var allLayers = []kit.Layer{
	{Name: "record: sync", Prefixes: []string{module + "proxy/record/spool.(*Log).flush"}},
	{Name: "record: checkpoint", Prefixes: []string{module + "proxy/record/spool.(*Log).notarise", module + "proxy/record/spool.(*Log).hand", module + "proxy/witness"}},
	{Name: "record: show", Prefixes: []string{module + "proxy/kube"}},
	{Name: "record: ship", Prefixes: []string{module + "proxy/record/sink", module + "proxy/record/ocsf"}},
	{Name: "record: chain, tree", Prefixes: []string{module + "proxy/record.LeafHash", module + "proxy/record/tree", "golang.org/x/mod/sumdb/"}},
	{Name: "record: answers", Prefixes: []string{module + "proxy/access.(*Answer)"}},
	{Name: "record: write", Prefixes: []string{module + "proxy/record"}},
	{Name: "mask", Prefixes: []string{module + "proxy/mask", module + "proxy/protocol/postgres.(*session).plan", module + "proxy/protocol/postgres.(*session).checkMasks"}},
	{Name: "decide", Prefixes: []string{module + "proxy/policy", "github.com/open-policy-agent/"}},
	{Name: "parse", Prefixes: []string{module + "proxy/protocol/postgres/sql", module + "proxy/protocol/postgres/catalog", "github.com/multigres/"}},
	{Name: "relay: sockets", Prefixes: []string{"net.", "internal/poll."}},
	{Name: "TLS", Prefixes: []string{"crypto/"}},
	{Name: "road", Prefixes: []string{module + "proxy/access"}},
	{Name: "relay: protocol", Prefixes: []string{module + "proxy/protocol", module + "proxy/relay", "github.com/jackc/"}},
	{Name: "scheduler, garbage", Prefixes: []string{"runtime.", "internal/runtime/"}},
}

// profileAtLeast is how long a CPU profile is taken, so that small layers show.
const profileAtLeast = 5 * time.Second

// profileLayers runs pgbench once more while the proxy takes a CPU profile of itself.
func profileLayers(ctx context.Context, binDir string, p path, pprofAddress string, s settings) error {
	duration := max(s.duration, profileAtLeast)
	type taken struct {
		profile *profile.Profile
		err     error
	}
	result := make(chan taken, 1)
	go func() {
		taken := taken{}
		taken.profile, taken.err = kit.FetchCPU(ctx, pprofAddress, duration)
		result <- taken
	}()
	run, err := pgbench(ctx, binDir, p, workload{script: selectOnly, mode: prepared, clients: 16}, duration+time.Second)
	got := <-result
	if err := errors.Join(err, got.err); err != nil {
		return err
	}
	return printProfile(s, got.profile, strings.ReplaceAll(strings.Trim(p.name, "+ "), " ", "-"),
		fmt.Sprintf("%s, select-only, 16 clients (%.0f tps)", p.name, run.tps), "transaction", run.cpu)
}

// printProfile prints a profile by layer, and keeps it where that is asked for.
func printProfile(s settings, p *profile.Profile, file, what, unit string, cpu time.Duration) error {
	if err := kit.KeepProfile(p, s.profiles, file); err != nil {
		return err
	}
	return kit.PrintLayers(os.Stdout, p, allLayers, what, unit, cpu)
}
