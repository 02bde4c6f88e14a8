// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package observability

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHealthOfTheManager: /readyz names its checks, profiles are on their own
// port and on no other (checklist 51).
func TestHealthOfTheManager(t *testing.T) {
	await(t, "the manager's readiness", func(ctx context.Context) error {
		_, err := get(ctx, "http://"+manager.health+"/readyz")
		return err
	})
	for path, want := range map[string][]string{"/readyz?verbose": {"caches", "leader"}, "/healthz?verbose": {"heartbeats"}} {
		body, err := get(t.Context(), "http://"+manager.health+path)
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range want {
			if !strings.Contains(body, "[+]"+check+" ok") {
				t.Errorf("%s does not say that %s is ok: %s", path, check, body)
			}
		}
	}
	const profile = "/debug/pprof/goroutine?debug=1"
	if _, err := get(t.Context(), "http://"+manager.pprof+profile); err != nil {
		t.Error(err)
	}
	for _, address := range []string{manager.health, manager.metrics, suite.Proxy().HealthAddress} {
		if _, err := get(t.Context(), "http://"+address+profile); err == nil {
			t.Errorf("%s shows profiles", address)
		}
	}
}

// TestLogsAreStructured: every line of both programs is JSON with a time, a
// level and a message, and none holds a secret (checklist 47).
func TestLogsAreStructured(t *testing.T) {
	busy(t)
	for program, path := range map[string]string{"manager": filepath.Join(suite.Logs(), "manager.log"), "proxy": suite.Proxy().Log()} {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		lines := 0
		scanner := bufio.NewScanner(file)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			lines++
			var entry struct {
				Time  time.Time `json:"ts"`
				Level string    `json:"level"`
				Msg   string    `json:"msg"`
			}
			if err := json.Unmarshal(scanner.Bytes(), &entry); err != nil || entry.Time.IsZero() || entry.Level == "" || entry.Msg == "" {
				t.Errorf("%s: line %d is not structured: %s", program, lines, scanner.Text())
			}
			for _, canary := range []string{"canary", suite.Canary, headerCanary} {
				if strings.Contains(scanner.Text(), canary) {
					t.Errorf("%s: line %d holds a secret", program, lines)
				}
			}
		}
		if err := scanner.Err(); err != nil || lines == 0 {
			t.Errorf("%s: %d lines: %v", program, lines, err)
		}
	}
}
