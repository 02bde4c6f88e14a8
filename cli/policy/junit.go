// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/doorward/doorward/cli/audit"
)

// The parts of JUnit's form that CI systems read: suites, cases, and failures.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	File      string        `xml:"file,attr,omitempty"`
	Line      int           `xml:"line,attr,omitempty"`
	Failure   *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit prints a suite for the policies that are not accepted, and one per file of
// tests.
func writeJUnit(out io.Writer, r *testReport) error {
	var all junitSuites
	add := func(suite string, c junitCase) {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != suite {
			all.Suites = append(all.Suites, junitSuite{Name: suite})
		}
		s := &all.Suites[len(all.Suites)-1]
		s.Cases = append(s.Cases, c)
		s.Tests++
		all.Tests++
		if c.Failure != nil {
			s.Failures++
			all.Failures++
		}
	}
	for i := range r.Refused {
		refused := &r.Refused[i]
		add("policies", junitCase{
			Name: audit.Safe(refused.Policy) + " is accepted", ClassName: "policies", File: refused.Source.File, Line: refused.Source.Line,
			Failure: &junitFailure{Message: audit.Safe(refused.Reason), Text: audit.Safe(refused.Message)},
		})
	}
	for i := range r.Results {
		t := &r.Results[i]
		c := junitCase{Name: audit.Safe(t.Name), ClassName: t.File, File: t.File, Line: t.Line}
		if !t.Passed {
			c.Failure = &junitFailure{Message: audit.Safe(t.Error)}
			var text strings.Builder
			for _, d := range t.Diff {
				fmt.Fprintf(&text, "%s:%d: %s\n%s", t.File, d.Line, d.Field, d.text("  "))
				if c.Failure.Message == "" {
					c.Failure.Message = fmt.Sprintf("%s is not as expected", d.Field)
				}
			}
			c.Failure.Text = text.String()
		}
		add(t.File, c)
	}
	if _, err := io.WriteString(out, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(out)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(out, "\n")
	return err
}
