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
	"strings"
	"time"
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
	before, err := cpuTime(p.pid)
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
	after, err := cpuTime(p.pid)
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

// clockTick is USER_HZ, 100 on every Linux architecture Go runs on.
const clockTick = 10 * time.Millisecond

// resident is what a process holds of memory, in bytes (proc(5), statm).
func resident(pid int) (int64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("cannot read memory: %w", err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(content), &size, &pages); err != nil {
		return 0, fmt.Errorf("cannot read memory: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// cpuTime is the user and system time of a process so far (proc(5), stat fields
// 14 and 15); 0 for pid 0.
func cpuTime(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("cannot read CPU time: %w", err)
	}
	// The command, field 2, may hold spaces; what follows its bracket does not.
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("cannot read CPU time: short line %q", stat)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}
