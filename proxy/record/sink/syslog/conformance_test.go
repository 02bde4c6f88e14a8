// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package syslog_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func destination(t *testing.T, s *rsyslog) sinktest.Destination {
	t.Helper()
	return sinktest.Destination{
		New: func(t *testing.T) sink.Sink {
			t.Helper()
			return s.sink(t)
		},
		Received: s.received,
		Break: func(t *testing.T) func() {
			t.Helper()
			s.kill(t)
			return func() { s.start(t) }
		},
	}
}

// TestConformance runs the kit on rsyslog.
func TestConformance(t *testing.T) {
	for name, driver := range map[string][]replacement{"TLS": {noSync}, "TCP": noTLS} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Destination {
				t.Helper()
				return destination(t, startRsyslog(t, driver...))
			})
		})
	}
}

// TestOutage kills rsyslog under load; it runs with the documented
// configuration, unchanged.
func TestOutage(t *testing.T) { sinktest.Outage(t, destination(t, startRsyslog(t))) }
