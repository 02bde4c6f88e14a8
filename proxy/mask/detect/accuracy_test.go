// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the measured figures into docs/masking.md")

const (
	page        = "../../../docs/masking.md"
	tableBegins = "<!-- measured: begin -->\n"
	tableEnds   = "<!-- measured: end -->"
)

// mark is something sensitive in a text.
type mark struct {
	detector   string
	start, end int
}

// markOpens begins a mark; it ends at the first "]]" whose next byte is no "]".
var markOpens = regexp.MustCompile(`\[\[(Email|PaymentCard|IBAN|Phone|SSN|JWT|CloudKey|PrivateKey|IPAddress):`)

func unmarked(tb testing.TB, line string) (text string, marks []mark) {
	tb.Helper()
	for {
		at := markOpens.FindStringSubmatchIndex(line)
		if at == nil {
			return text + line, marks
		}
		text += line[:at[0]]
		detector := line[at[2]:at[3]]
		line = line[at[1]:]
		end := strings.Index(line, "]]")
		if end < 0 {
			tb.Fatalf("a mark without an end: %q", line)
		}
		marks = append(marks, mark{detector, len(text), len(text) + end})
		text, line = text+line[:end], line[end+2:]
	}
}

// hard reads the cases made by hand.
func hard(tb testing.TB) []string {
	tb.Helper()
	content, err := os.ReadFile("testdata/hard.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		line = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\u200b`, "\u200b").Replace(line)
		lines = append(lines, line)
	}
	return lines
}

// score counts what a detector finds among what it should.
type score struct {
	marks, covered int
	right, wrong   int
}

func (s score) add(o score) score {
	return score{s.marks + o.marks, s.covered + o.covered, s.right + o.right, s.wrong + o.wrong}
}

func percent100(part, of int) string {
	if of == 0 {
		return "–"
	}
	return strconv.FormatFloat(100*float64(part)/float64(of), 'f', 1, 64) + " %"
}

// measure runs a detector alone over texts. A mark counts as found where findings
// cover all of it; a finding is right where it touches a mark.
func measure(tb testing.TB, d Detector, lines []string, wrong func(string)) (s score) {
	tb.Helper()
	set := New(Rule{Detector: d})
	for _, line := range lines {
		text, marks := unmarked(tb, line)
		var spans []mark
		v := view{v: []byte(text), final: true}
		for at := 0; ; {
			m, verdict := set.next(v, at)
			if verdict != yes {
				break
			}
			spans = append(spans, mark{string(d), m.start, m.end})
			at, v.floor = m.end, m.end
		}
		for _, m := range marks {
			if m.detector != string(d) {
				continue
			}
			s.marks++
			covered := slices.ContainsFunc(spans, func(f mark) bool { return f.start <= m.start && f.end >= m.end })
			if covered {
				s.covered++
			} else {
				tb.Logf("%s: not found: %q", d, text[m.start:m.end])
			}
		}
		for _, f := range spans {
			right := false
			for _, m := range marks {
				right = right || (m.detector == string(d) || d == PrivateKey && m.detector == string(CloudKey)) && f.start < m.end && f.end > m.start
			}
			if right {
				s.right++
			} else {
				s.wrong++
				wrong(text[f.start:f.end])
			}
		}
	}
	return s
}

// TestAccuracy keeps the figures in docs/masking.md what is measured here.
func TestAccuracy(t *testing.T) {
	generated := corpus{rand.New(rand.NewPCG(2026, 11))}.all()
	byHand := hard(t)
	var table strings.Builder
	fmt.Fprintf(&table, "| detector | precision | recall | recall, hard cases |\n|---|---|---|---|\n")
	for _, d := range []Detector{Email, PaymentCard, IBAN, Phone, SSN, JWT, CloudKey, PrivateKey, IPAddress} {
		log := func(text string) { t.Logf("%s: not one: %q", d, text) }
		g, h := measure(t, d, generated, log), measure(t, d, byHand, log)
		all := g.add(h)
		fmt.Fprintf(&table, "| %s | %s (%d of %d) | %s (%d of %d) | %d of %d |\n", d,
			percent100(all.right, all.right+all.wrong), all.right, all.right+all.wrong, percent100(all.covered, all.marks), all.covered, all.marks, h.covered, h.marks)
	}
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(content), tableBegins)
	old, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		t.Fatalf("%s has no place for the measured figures", page)
	}
	if diff := cmp.Diff(old, table.String()); diff != "" {
		if !*update {
			t.Fatalf("%s says something else than what is measured; run go test ./proxy/mask/detect -run TestAccuracy -update: -page +measured:\n%s", page, diff)
		}
		if err := os.WriteFile(page, []byte(before+tableBegins+table.String()+tableEnds+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
