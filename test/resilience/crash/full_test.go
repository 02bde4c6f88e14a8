// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestFullDisk fills the disk of the log under load, while a sink takes nothing:
// everything is refused, in the protocol's words, nothing is dropped and the
// proxy lives on. It goes on when the disk has been made larger, and when the
// sink has caught up, also after a restart on a full disk (checklist 42, 43, 44).
func TestFullDisk(t *testing.T) {
	const (
		instance = "crash-full"
		maxBytes = 64 << 20 // segments of 8 MiB
		small    = "20m"    // two of them
		larger   = "28m"    // three
	)
	disk := tmpfs(t, small)
	sinkDisk := tmpfs(t, "1m")
	filler := ballast(t, sinkDisk)
	proxy := ownProxy(t, instance, filepath.Join(disk, "spool"), "--spool-max-bytes="+strconv.Itoa(maxBytes))
	secondSink(t, "crash-blocked", filepath.Join(sinkDisk, "records"))
	s := newScene(t, loadOptions{label: "full", proxy: proxy, clients: clients, reads: true, padding: 15_000, seed: chance(t).Uint64()})
	pid := proxy.PID()
	s.answers(t)

	s.refused(t)
	executed := s.executedSoFar(t)
	s.reported(t, instance, "record log full", proxy.Spool, "no space left on device")
	if now := s.executedSoFar(t); now != executed {
		t.Errorf("%d statements were executed while everything was refused", now-executed)
	}

	must(t, "mount", "-o", "remount,size="+larger, disk)
	grown := s.answers(t)
	s.refused(t)
	more := s.executedSoFar(t) - executed

	if proxy.PID() != pid {
		t.Errorf("the proxy's process is %d, was %d", proxy.PID(), pid)
	}
	// The log's readers must get at a full log after a restart too: else nothing
	// would ever make room in it.
	s.kill(t)
	s.launch(t)
	await(t, "a start on a full log", func(ctx context.Context) error {
		if err := proxy.Ready(ctx); err == nil || !strings.Contains(err.Error(), ": log\n") {
			return fmt.Errorf("/readyz says: %w", err)
		}
		return nil
	})
	s.refused(t)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	must(t, "mount", "-o", "remount,size=128m", sinkDisk)
	caught := s.answers(t)
	s.kill(t)
	s.launch(t)
	s.answers(t)
	s.settle(t)
	t.Logf("refused on a disk of %s after %d statements; went on %s after it had %s, %d statements later refused again; went on %s after the sink had room: %s",
		small, executed, grown.Round(time.Millisecond), larger, more, caught.Round(time.Millisecond), s.total())
}
