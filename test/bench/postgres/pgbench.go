// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/doorward/doorward/test/bench/kit"
)

// path is one way to the target.
type path struct {
	name string
	// env names the server to libpq.
	env []string
	// pid is the process in between, 0 for none.
	pid int
	// settle, where set, waits until the process has done what a run left to do.
	settle func(context.Context) error
	// telling is where the process tells of itself, empty where it does not.
	telling string
}

// pgbench's own scripts and protocols.
const (
	selectOnly = "select-only"
	tpcbLike   = "tpcb-like"
	prepared   = "prepared"
)

// workload is what pgbench does.
type workload struct {
	script, mode string
	clients      int
}

// sample is one run of pgbench.
type sample struct {
	tps     float64
	latency time.Duration
	// cpu is the CPU time of the process in between for each transaction.
	cpu time.Duration
}

var (
	tpsLine     = regexp.MustCompile(`tps = ([0-9.]+) \(without`)
	latencyLine = regexp.MustCompile(`latency average = ([0-9.]+) ms`)
	countLine   = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
)

// pgbench runs a script. Its clock begins before its clients have come in: where
// it ran out by then, it runs again, twice as long.
func pgbench(ctx context.Context, binDir string, p path, w workload, duration time.Duration) (got sample, err error) {
	duration += time.Duration(w.clients/clientsPerSecond) * time.Second
	for range longerRuns {
		if got, err = pgbenchOnce(ctx, binDir, p, w, duration); !errors.Is(err, errNothingRan) {
			return got, err
		}
		duration *= 2
	}
	return got, err
}

const (
	// clientsPerSecond come in at least, on a machine that is not very busy.
	clientsPerSecond = 64
	longerRuns       = 4
)

// errNothingRan says that a run was over before its first transaction.
var errNothingRan = errors.New("no transaction ran")

func pgbenchOnce(ctx context.Context, binDir string, p path, w workload, duration time.Duration) (sample, error) {
	command := exec.CommandContext(ctx, filepath.Join(binDir, "pgbench"),
		"--no-vacuum", "--builtin="+w.script, "--protocol="+w.mode, "--client="+strconv.Itoa(w.clients), "--jobs="+strconv.Itoa(min(w.clients, 2)),
		"--time="+strconv.Itoa(int(duration.Seconds())))
	command.Env = append(os.Environ(), p.env...)
	before, err := kit.CPUTime(p.pid)
	if err != nil {
		return sample{}, err
	}
	output, err := command.CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("pgbench through %s: %w: %s", p.name, err, output)
	}
	if p.settle != nil {
		if err := p.settle(ctx); err != nil {
			return sample{}, fmt.Errorf("after pgbench through %s: %w", p.name, err)
		}
	}
	after, err := kit.CPUTime(p.pid)
	if err != nil {
		return sample{}, err
	}
	if count, err := number(countLine, output); err == nil && count == 0 {
		return sample{}, fmt.Errorf("pgbench through %s: %w: %s", p.name, errNothingRan, output)
	}
	tps, err1 := number(tpsLine, output)
	latency, err2 := number(latencyLine, output)
	count, err3 := number(countLine, output)
	if err := errors.Join(err1, err2, err3); err != nil {
		return sample{}, fmt.Errorf("pgbench through %s: %w: %s", p.name, err, output)
	}
	return sample{
		tps: tps, latency: time.Duration(latency * float64(time.Millisecond)),
		cpu: time.Duration(float64(after-before) / count),
	}, nil
}

func number(line *regexp.Regexp, output []byte) (float64, error) {
	found := line.FindSubmatch(output)
	if found == nil {
		return 0, fmt.Errorf("no line %q", line)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
