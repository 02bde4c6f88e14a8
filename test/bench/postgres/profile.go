// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// profiled is a part of the proxy's work: a sample of the CPU profile belongs to
// the first layer of the list whose package is anywhere on its stack.
type profiled struct {
	name     string
	packages []string
}

const module = "github.com/doorward/doorward/"

var allLayers = []profiled{
	{"record: sync", []string{module + "proxy/record/spool.(*Log).flush"}},
	{"record: checkpoint", []string{module + "proxy/record/spool.(*Log).notarise", module + "proxy/record/spool.(*Log).hand", module + "proxy/witness"}},
	{"record: show", []string{module + "proxy/kube"}},
	{"record: ship", []string{module + "proxy/record/sink", module + "proxy/record/ocsf"}},
	{"record: chain, tree", []string{module + "proxy/record.LeafHash", module + "proxy/record/tree", "golang.org/x/mod/sumdb/"}},
	{"record: answers", []string{module + "proxy/access.(*Answer)"}},
	{"record: write", []string{module + "proxy/record"}},
	{"mask", []string{module + "proxy/mask", module + "proxy/protocol/postgres.(*session).plan", module + "proxy/protocol/postgres.(*session).checkMasks"}},
	{"decide", []string{module + "proxy/policy", "github.com/open-policy-agent/"}},
	{"parse", []string{module + "proxy/protocol/postgres/sql", module + "proxy/protocol/postgres/catalog", "github.com/multigres/"}},
	{"relay: sockets", []string{"net.", "internal/poll."}},
	{"TLS", []string{"crypto/"}},
	{"road", []string{module + "proxy/access"}},
	{"relay: protocol", []string{module + "proxy/protocol", module + "proxy/relay", "github.com/jackc/"}},
	{"scheduler, garbage", []string{"runtime.", "internal/runtime/"}},
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
		taken.profile, taken.err = fetchProfile(ctx, pprofAddress, duration)
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
	if s.profiles != "" {
		if err := keepProfile(p, filepath.Join(s.profiles, file+".pprof")); err != nil {
			return err
		}
	}
	total, shares := split(p)
	if total == 0 {
		return errors.New("the profile is empty")
	}
	fmt.Printf("CPU of %s by layer, %s for each %s\n\n", what, cpu.Round(100*time.Nanosecond), unit)
	fmt.Printf("| layer | share | for each %s |\n|---|---:|---:|\n", unit)
	for _, l := range append(allLayers, profiled{name: others}) {
		if shares[l.name] == 0 {
			continue
		}
		share := float64(shares[l.name]) / float64(total)
		fmt.Printf("| %s | %.1f %% | %s |\n", l.name, 100*share, time.Duration(share*float64(cpu)).Round(100*time.Nanosecond))
	}
	fmt.Println()
	return nil
}

func keepProfile(p *profile.Profile, name string) (err error) {
	file, err := os.Create(filepath.Clean(name))
	if err != nil {
		return fmt.Errorf("cannot keep a profile: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return p.Write(file)
}

func fetchProfile(ctx context.Context, address string, duration time.Duration) (*profile.Profile, error) {
	url := "http://" + address + "/debug/pprof/profile?seconds=" + strconv.Itoa(int(duration.Seconds()))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for a profile: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot take a profile: %w", err)
	}
	defer response.Body.Close()
	parsed, err := profile.Parse(response.Body)
	if err != nil {
		return nil, fmt.Errorf("cannot read the profile: %w", err)
	}
	return parsed, nil
}

// others is what belongs to no layer.
const others = "other"

// split attributes each sample's CPU time to a layer.
func split(p *profile.Profile) (total int64, shares map[string]int64) {
	shares = map[string]int64{}
	value := len(p.SampleType) - 1 // CPU nanoseconds are the last value
	for _, sample := range p.Sample {
		total += sample.Value[value]
		shares[layerOf(sample)] += sample.Value[value]
	}
	return total, shares
}

func layerOf(sample *profile.Sample) string {
	for _, l := range allLayers {
		for _, location := range sample.Location {
			for _, frame := range location.Line {
				for _, prefix := range l.packages {
					if strings.HasPrefix(frame.Function.Name, prefix) {
						return l.name
					}
				}
			}
		}
	}
	return others
}
