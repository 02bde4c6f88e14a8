// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package evasion

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

// minMasked and minDenied hold the lists to their size: they only grow.
const minMasked, minDenied, minHonest = 250, 100, 200

// TestMasked: nothing of a masked value comes back, whatever is asked, under
// masks that allow derived values and under those that do not (checklist 18).
func TestMasked(t *testing.T) {
	files := load(t, "masked")
	atLeast(t, files, minMasked)
	for _, derived := range []string{policy.MaskDerived, ""} {
		name := "derived values are masked"
		if derived == "" {
			name = "derived values are refused"
		}
		t.Run(name, func(t *testing.T) {
			var dsns [2]string
			for i, w := range twins {
				dsns[i] = w.gate(t, everything(masks(derived, "")...)).DSN(database)
			}
			for file, cases := range files {
				for _, client := range clients {
					// What the clients differ in is not the masks: all of all is run on request.
					if os.Getenv("DOORWARD_LONG") == "" && (derived == "") != (client == viaSimple) {
						continue
					}
					t.Run(file+"/"+client, func(t *testing.T) { same(t, dsns, client, cases) })
				}
			}
		})
	}
}

// same runs cases against both twins and holds the answers against each other.
func same(t *testing.T, dsns [2]string, client string, cases []case1) {
	t.Helper()
	var got [2][][]byte
	var errs [2]error
	var both sync.WaitGroup
	for i, w := range twins {
		both.Go(func() {
			got[i], errs[i] = attempt(t.Context(), dsns[i], client, filepath.Join(w.BinDir, "psql"), cases)
		})
	}
	both.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	var logs [2]string
	for i, w := range twins {
		var err error
		if logs[i], err = w.Log(); err != nil {
			t.Fatal(err)
		}
	}
	for n, c := range cases {
		if !c.runs(client) {
			continue
		}
		for i, w := range twins {
			if found := w.values.found(got[i][n]); len(found) > 0 {
				t.Errorf("%s: LEAK of %v: %s", c.at(), found, clip(got[i][n]))
			}
			if last := c.statements[len(c.statements)-1]; c.refused && reached(logs[i], last) {
				t.Errorf("%s: EXECUTED: %s\nanswered: %s", c.at(), last, clip(got[i][n]))
			}
		}
		if !c.differs && !bytes.Equal(got[0][n], got[1][n]) {
			at := difference(got[0][n], got[1][n])
			t.Errorf("%s: LEAK, answers differ:\n%s\n--\n%s", c.at(), clip(got[0][n][at:]), clip(got[1][n][at:]))
		}
		if bytes.Contains(got[0][n], []byte("the client gave up")) {
			t.Errorf("%s: no answer", c.at())
		}
	}
}

// reached says whether a statement is in a target's log.
func reached(log, statement string) bool {
	text := strings.TrimSuffix(statement, ";")
	return strings.Contains(log, ": "+text+"\n") || strings.Contains(log, ": "+text+";\n")
}

func (c case1) at() string {
	return fmt.Sprintf("%s.sql:%d: %s: %s", c.file, c.line, c.reason, strings.Join(c.statements, " "))
}

// difference is a little before where two answers begin to differ.
func difference(a, b []byte) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return max(0, i-60)
}

func clip(b []byte) string { return fmt.Sprintf("%q", b[:min(len(b), 300)]) }

func atLeast(t *testing.T, files map[string][]case1, least int) {
	t.Helper()
	n := 0
	for _, cases := range files {
		n += len(cases)
	}
	t.Logf("%d cases in %d files", n, len(files))
	if n < least {
		t.Errorf("%d cases, at least %d", n, least)
	}
}
