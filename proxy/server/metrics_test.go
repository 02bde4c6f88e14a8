// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/doorward/doorward/proxy/record/sink"
)

// fullLog is a log that is full.
type fullLog struct{}

func (fullLog) Durable() int64 { return 7 }
func (fullLog) Err() error     { return errors.New("full") }

func TestFiguresOfLogAndSinks(t *testing.T) {
	m := NewMetrics()
	m.WatchLog(fullLog{}, func() (used, limit int64) { return 90, 100 })
	m.WatchSinks(func() []sink.Status {
		return []sink.Status{
			{Name: "siem", Lag: 12, FailuresTotal: 3, Missed: 2},
			{Name: "archive", Reachable: true, LastSuccess: time.Unix(1800000000, 5e8)},
		}
	})
	answer := httptest.NewRecorder()
	Health(m, logr.Discard()).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	body := answer.Body.String()
	for _, want := range []string{
		"doorward_log_bytes 90\n", "doorward_log_bytes_max 100\n", "doorward_proxy_log_records 7\n", "doorward_proxy_log_writable 0\n",
		`doorward_sink_lag_records{sink="siem"} 12`, `doorward_sink_failures_total{sink="siem"} 3`, `doorward_sink_missed_records_total{sink="siem"} 2`,
		`doorward_sink_reachable{sink="siem"} 0`, `doorward_sink_reachable{sink="archive"} 1`,
		`doorward_sink_last_acknowledged_timestamp_seconds{sink="archive"} 1.8000000005e+09`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	if strings.Contains(body, `timestamp_seconds{sink="siem"}`) {
		t.Error("a sink that has acknowledged nothing has a time")
	}
}
