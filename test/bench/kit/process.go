// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kit is what benchmarks of whole processes share: programs that are
// started to be measured, what they tell of themselves, and their CPU time by
// layer.
package kit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Helper is a benchmark's own command, run again as a server so that its CPU
// time and memory can be told from those of what measures it.
type Helper struct {
	command *exec.Cmd
	// Said are the words of its first line: an address that it serves at, and
	// whatever else it has to say.
	Said []string
}

// StartHelper starts a build of a command, this one where empty, with one
// argument, and waits for its first line. Its lifetime is the context's.
func StartHelper(ctx context.Context, build, argument string) (*Helper, error) {
	if build == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("cannot start %q: %w", argument, err)
		}
		build = self
	}
	command := exec.CommandContext(ctx, build, argument)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", argument, err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", argument, err)
	}
	h := &Helper{command: command}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		h.Stop()
		return nil, errors.Join(fmt.Errorf("%q said no address", argument), lines.Err())
	}
	if h.Said = strings.Fields(lines.Text()); len(h.Said) == 0 {
		h.Stop()
		return nil, fmt.Errorf("%q said no address", argument)
	}
	return h, nil
}

// PID is the process id.
func (h *Helper) PID() int { return h.command.Process.Pid }

// Stop kills it.
func (h *Helper) Stop() {
	_ = h.command.Process.Kill()
	_ = h.command.Wait() // killed
}

// clockTick is the unit of times in /proc (sysconf(_SC_CLK_TCK), 100 on Linux).
const clockTick = 10 * time.Millisecond

// CPUTime is what a process took of the processors so far; 0 for no process.
func CPUTime(pid int) (time.Duration, error) {
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

// Load is the machine's load average over the last minute (proc(5), loadavg),
// -1 where it is not known.
func Load() float64 {
	content, err := os.ReadFile("/proc/loadavg")
	average := -1.0
	if err == nil {
		if _, err := fmt.Sscan(string(content), &average); err != nil {
			return -1
		}
	}
	return average
}
