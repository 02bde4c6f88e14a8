// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// world is the stack that is measured.
var world *stack.Stack

func TestMain(m *testing.M) { os.Exit(stacktest.Run(m, &world, stack.Options{Quiet: true})) }

// sizes say how much is measured.
type sizes struct {
	// watches is the number of light watchers of each kind, changes how often each sort
	// of change is made.
	watches, changes int
	// boundaries is how many minutes the schedule is followed, sessions how many sessions
	// it ends each time.
	boundaries, sessions int
}

// measured are the sizes: without DOORWARD_LONG such that they show only that the
// measurement works.
func measured(t *testing.T) sizes {
	t.Helper()
	s := sizes{
		watches: number(t, "LIVE_WATCHES", 3), changes: number(t, "LIVE_CHANGES", 1),
		boundaries: number(t, "LIVE_BOUNDARIES", 1), sessions: number(t, "LIVE_SESSIONS", 3),
	}
	if os.Getenv("DOORWARD_LONG") == "1" {
		s = sizes{
			watches: number(t, "LIVE_WATCHES", 100), changes: number(t, "LIVE_CHANGES", 200),
			boundaries: number(t, "LIVE_BOUNDARIES", 10), sessions: number(t, "LIVE_SESSIONS", 40),
		}
	}
	return s
}

// number is a setting of the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("cannot read %s: %v", name, err)
	}
	return n
}

// load is the machine's load averages (proc(5)); empty where there are none.
func load() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(content))
	return fmt.Sprintf("load averages %s", strings.Join(fields[:min(3, len(fields))], ", "))
}
