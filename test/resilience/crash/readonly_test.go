// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestReadOnlySpool makes the file system of the log read-only under load, as
// Linux does after an error of the disk: everything is refused, in the
// protocol's words, and reported. After a restart on a repaired disk all is
// there (checklist 43).
func TestReadOnlySpool(t *testing.T) {
	t.Parallel()
	const instance = "crash-readonly"
	image := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 128<<20); err != nil {
		t.Fatal(err)
	}
	must(t, "mkfs.ext4", "-q", "-F", image)
	disk := mounted(t, "-o", "loop,errors=remount-ro", image)
	proxy := ownProxy(t, instance, filepath.Join(disk, "spool"), "--spool-max-bytes="+strconv.Itoa(spoolBytes))
	s := newScene(t, loadOptions{label: "readonly", proxy: proxy, clients: clients, reads: true, seed: chance(t).Uint64()})
	s.answers(t)

	// What the kernel does with an error of the disk.
	must(t, "mount", "-o", "remount,abort", disk)
	s.refused(t)
	executed := s.executedSoFar(t)
	s.reported(t, instance, "record log broken", proxy.Spool, "read-only file system", "restart the proxy")
	if now := s.executedSoFar(t); now != executed {
		t.Errorf("%d statements were executed while everything was refused", now-executed)
	}
	s.kill(t)
	kept := len(s.trail.sums)

	must(t, "umount", disk)
	_ = system(t.Context(), "e2fsck", "-fy", image) // status 1: errors corrected
	must(t, "mount", "-o", "loop", image, disk)
	s.launch(t)
	s.answers(t)
	s.kill(t)
	s.launch(t)
	s.answers(t)
	s.settle(t)
	t.Logf("refused after %d statements, with %d records, all of which are there after the repair: %s", executed, kept, s.total())
}
