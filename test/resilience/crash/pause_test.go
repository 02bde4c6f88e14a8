// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"syscall"
	"testing"
	"time"
)

// pause is how long the proxy stands still.
const pause = 10 * time.Second

// TestPause stops the proxy with SIGSTOP under load and lets it go on: no
// session is lost, nothing is executed meanwhile, and nothing that is not on
// record (checklist 42).
func TestPause(t *testing.T) {
	t.Parallel()
	proxy := ownProxy(t, "crash-pause", t.TempDir())
	s := newScene(t, loadOptions{label: "pause", proxy: proxy, clients: clients, reads: true, seed: chance(t).Uint64()})
	s.all(t)
	sessions, _ := s.load.heard.counts()
	if err := proxy.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	timer := time.NewTimer(pause)
	<-timer.C
	_, answered := s.load.heard.counts()
	if err := proxy.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	resumed := s.answers(t)
	s.kill(t)
	after, total := s.load.heard.counts()
	if after != sessions {
		t.Errorf("%d sessions were let in after the pause, want none: the %d before it were lost", after-sessions, sessions)
	}
	s.launch(t)
	s.answers(t)
	s.settle(t)
	t.Logf("SIGSTOP for %s: clients answered again %s after SIGCONT, %d statements before and %d after, in the same %d sessions: %s",
		pause, resumed.Round(time.Millisecond), answered, total-answered, sessions, s.total())
}
