// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package observability

import (
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
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
		for i, text := range lines {
			var entry struct {
				Time  time.Time `json:"ts"`
				Level string    `json:"level"`
				Msg   string    `json:"msg"`
			}
			// The last line may still be being written.
			if err := json.Unmarshal([]byte(text), &entry); (err != nil || entry.Time.IsZero() || entry.Level == "" || entry.Msg == "") && i < len(lines)-1 {
				t.Errorf("%s: line %d is not structured: %s", program, i+1, text)
			}
			for _, canary := range []string{"canary", suite.Canary, headerCanary} {
				if strings.Contains(text, canary) {
					t.Errorf("%s: line %d holds a secret", program, i+1)
				}
			}
		}
		if len(lines) < 2 {
			t.Errorf("%s: logs nothing", program)
		}
	}
}
