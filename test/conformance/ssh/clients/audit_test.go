// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"encoding/json"
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// audited is what ssh-audit says, as far as it is read.
type audited struct {
	KeyExchanges    []algorithm                `json:"kex"`
	Keys            []algorithm                `json:"key"`
	Ciphers         []algorithm                `json:"enc"`
	MACs            []algorithm                `json:"mac"`
	CVEs            []json.RawMessage          `json:"cves"`
	Recommendations map[string]json.RawMessage `json:"recommendations"`
}

// algorithm is one that the proxy offers. Before version 3, ssh-audit's JSON has no notes, and of
// some algorithms only the name.
type algorithm struct {
	Algorithm string              `json:"algorithm"`
	Notes     map[string][]string `json:"notes"`
}

// UnmarshalJSON takes both forms.
func (a *algorithm) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &a.Algorithm) == nil {
		return nil
	}
	type plain algorithm
	return json.Unmarshal(data, (*plain)(a))
}

// newer are algorithms that ssh-audit has learnt since 2.5, which warns that it does not know them.
var newer = []string{"mlkem768x25519-sha256", "kex-strict-s-v00@openssh.com"}

// TestAudit (checklist 3): ssh-audit has no warning and no failure about any algorithm, and would
// have none removed, added or changed.
func TestAudit(t *testing.T) {
	t.Parallel()
	shown := audit(t, "-j")
	var got audited
	if err := json.Unmarshal(shown, &got); err != nil {
		t.Fatalf("%v: %s", err, shown)
	}
	noted := false
	for _, kind := range [][]algorithm{got.KeyExchanges, got.Keys, got.Ciphers, got.MACs} {
		if len(kind) == 0 {
			t.Fatalf("nothing was audited: %s", shown)
		}
		for _, a := range kind {
			noted = noted || len(a.Notes) > 0
			for _, level := range []string{"warn", "fail"} {
				if notes := a.Notes[level]; len(notes) > 0 {
					t.Errorf("%s: %s: %q", level, a.Algorithm, notes)
				}
			}
		}
	}
	if len(got.CVEs) > 0 || len(got.Recommendations) > 0 {
		t.Errorf("vulnerabilities %s, recommendations %s", got.CVEs, got.Recommendations)
	}
	if !noted {
		auditText(t)
	}
}

// auditText reads what is meant for people, of versions that tell no one else.
func auditText(t *testing.T) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^\((kex|key|enc|mac)\) (\S+) .*$`)
	bad := regexp.MustCompile(`\[(warn|fail)\] (.*)`)
	shown := string(audit(t, "--no-colors", "--verbose"))
	lines := line.FindAllStringSubmatch(shown, -1)
	if len(lines) == 0 {
		t.Fatalf("nothing was audited:\n%s", shown)
	}
	for _, l := range lines {
		for _, said := range bad.FindAllStringSubmatch(l[0], -1) {
			if said[2] != "unknown algorithm" || !slices.Contains(newer, l[2]) {
				t.Error(l[0])
			}
		}
	}
}

// audit runs ssh-audit. Its status tells of warnings and failures, which are read instead.
func audit(t *testing.T, options ...string) []byte {
	t.Helper()
	command := byToken().command(t, program(t, "ssh-audit"), append(options, "--timeout=120", "-p", strconv.Itoa(proxy.Port), proxy.Host)...)
	out, err := command.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out
}
