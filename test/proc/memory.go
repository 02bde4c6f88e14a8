// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory returns how many bytes of memory a process holds, and the most it ever held
// (VmRSS and VmHWM of proc_pid_status(5)).
func Memory(pid int) (resident, peak int64, err error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err
	}
	value := func(name string) int64 {
		_, rest, _ := strings.Cut(string(content), name+":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			err = fmt.Errorf("%q has no %s", path, name)
			return 0
		}
		kib, problem := strconv.ParseInt(fields[0], 10, 64)
		if problem != nil {
			err = fmt.Errorf("%q: %s: %w", path, name, problem)
		}
		return kib << 10
	}
	resident, peak = value("VmRSS"), value("VmHWM")
	return resident, peak, err
}
