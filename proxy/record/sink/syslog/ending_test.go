// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package syslog_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

// endings is how often TestEnding ends a server; the environment may ask for
// more with DOORWARD_ENDINGS.
const endings = 6

// TestEnding ends rsyslog at random moments of a Write, with a signal that it
// obeys and with one that it cannot: what Write has accepted is in its file.
func TestEnding(t *testing.T) {
	rounds := endings
	if n, err := strconv.Atoi(os.Getenv("DOORWARD_ENDINGS")); err == nil {
		rounds = n
	}
	for name, tc := range map[string]struct {
		reason string
		signal syscall.Signal
	}{
		"Killed":     {reason: "a killed server answers nothing", signal: syscall.SIGKILL},
		"Terminated": {reason: "a server that ends in order closes connections in order too", signal: syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			server := startRsyslog(t, noSync)
			out := server.sink(t)
			var accepted []record.Record
			refused := 0
			next := int64(0)
			for range rounds {
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					timer := time.NewTimer(rand.N(30 * time.Millisecond))
					<-timer.C
					server.end(t, tc.signal)
				}()
				// Writes until the server is gone.
				for {
					batch := sinktest.Records(next, next+300)
					next += 300
					if err := out.Write(t.Context(), batch); err != nil {
						refused++
						break
					}
					accepted = append(accepted, batch...)
				}
				<-ended
				server.start(t)
			}
			has := map[string]bool{}
			for _, line := range server.received(t) {
				has[string(line)] = true
			}
			for _, r := range accepted {
				if !has[string(r.JSON)] {
					t.Fatalf("%s: record %q was accepted and is not there", tc.reason, r.Position.ID())
				}
			}
			t.Logf("%d records accepted, %d batches refused", len(accepted), refused)
		})
	}
}
