// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package account

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/tail"
)

// Records are what a sink has received of any number of logs, in files of one
// record a line that are only appended to.
type Records struct {
	// Recorded is how often each mark was let through, Succeeded how often it
	// is said to have been executed well.
	Recorded, Succeeded map[string]int
	// Sessions are those with a record of their start, by the end of their
	// name that the target shows.
	Sessions map[string]*Session

	mark    *regexp.Regexp
	lines   tail.Lines
	logs    map[string]*logSeen
	marks   map[operation]string
	results map[operation]int
}

// Session is what is on record of a session.
type Session struct {
	Name, Log, User string
	// Instance is the proxy's that it was at.
	Instance string
	// Started is when that proxy was started.
	Started, Began, Ended time.Time
	// Ends is the number of records of its end, Reason what the last one says.
	Ends   int
	Reason string
}

type operation struct {
	session string
	id      uint64
}

// logSeen is what has come of one log.
type logSeen struct {
	instance string
	started  time.Time
	indices  map[int64]bool
	highest  int64
	twice    int
}

// NewRecords reads the marks of a label.
func NewRecords(label string) *Records {
	return &Records{
		Recorded: map[string]int{}, Succeeded: map[string]int{}, Sessions: map[string]*Session{},
		mark: Marks(label), logs: map[string]*logSeen{}, marks: map[operation]string{}, results: map[operation]int{},
	}
}

// Read reads on in a file, whole lines only. A file that is not there yet is empty.
func (r *Records) Read(path string) error {
	err := r.lines.Read(path, func(line []byte) error {
		d, err := record.Decode(line)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		r.take(&d)
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot read the sink: %w", err)
	}
	return nil
}

// take enters a record, unless it came before.
func (r *Records) take(d *record.Document) {
	l := r.logs[d.Log]
	if l == nil {
		l = &logSeen{indices: map[int64]bool{}, highest: -1}
		r.logs[d.Log] = l
	}
	if l.indices[d.Index] {
		l.twice++
		return
	}
	l.indices[d.Index], l.highest = true, max(l.highest, d.Index)
	key := operation{d.Session, d.OperationID}
	switch d.Type {
	default: // nothing to account for
	case record.ProxyStart:
		l.started = d.Time
		for _, attribute := range d.Attributes {
			if attribute.Name == "instance" {
				l.instance = attribute.Value
			}
		}
	case record.SessionStart:
		s := &Session{Name: d.Session, Log: d.Log, Instance: l.instance, Started: l.started, Began: d.Time}
		if d.Actor != nil {
			s.User = d.Actor.UserName
		}
		r.Sessions[d.Session] = s
	case record.SessionEnd:
		if s := r.Sessions[d.Session]; s != nil {
			s.Ends++
			s.Ended, s.Reason = d.Time, d.Reason
		}
	case record.OperationDecided:
		r.decided(key, d)
	case record.OperationResult:
		r.results[key]++
		if text := r.marks[key]; text != "" && d.Result != nil && d.Result.Outcome == "Succeeded" {
			r.Succeeded[text]++
		}
	}
}

func (r *Records) decided(key operation, d *record.Document) {
	if d.Decision == nil || d.Decision.Effect != "Allow" || d.Operation == nil {
		return
	}
	r.results[key] += 0
	if text := r.mark.FindString(d.Operation.Statement); text != "" {
		r.Recorded[text]++
		r.marks[key] = text
	}
}

// Session finds a session by its application_name at the target,
// "doorward:<user>:<end of its name>"; nil where its start has not come.
func (r *Records) Session(applicationName string) *Session {
	end := applicationName[strings.LastIndexByte(applicationName, ':')+1:]
	if end == "" {
		return nil
	}
	for name, s := range r.Sessions {
		if strings.HasSuffix(name, end) {
			return s
		}
	}
	return nil
}

// Count is the number of records, each counted once, and of logs.
func (r *Records) Count() (records, logs int) {
	for _, l := range r.logs {
		records += len(l.indices)
	}
	return records, len(r.logs)
}

// Twice is the number of records that came again: sinks get each at least once.
func (r *Records) Twice() (n int) {
	for _, l := range r.logs {
		n += l.twice
	}
	return n
}

// Missing is the number of records that have not come though later ones of
// their log have: lost, once their proxy has delivered all it has.
func (r *Records) Missing() (n int64) {
	for _, l := range r.logs {
		n += l.highest + 1 - int64(len(l.indices))
	}
	return n
}

// Whole says what is wrong with logs whose proxies have nothing left to tell of
// sessions that have ended: gaps, operations without exactly one result,
// sessions with other than one end. Sessions that live are named by live.
func (r *Records) Whole(live func(*Session) bool) error {
	for _, log := range slices.Sorted(maps.Keys(r.logs)) {
		l := r.logs[log]
		if missing := l.highest + 1 - int64(len(l.indices)); missing > 0 {
			return fmt.Errorf("log %s has not got %d of its first %d records", log, missing, l.highest+1)
		}
	}
	running := map[string]bool{}
	for _, s := range slices.SortedFunc(maps.Values(r.Sessions), func(a, b *Session) int { return cmp.Compare(a.Name, b.Name) }) {
		if running[s.Name] = live != nil && live(s); s.Ends != 1 && !running[s.Name] {
			return fmt.Errorf("session %s of proxy %q has %d ends, want one", s.Name, s.Instance, s.Ends)
		}
	}
	for key, n := range r.results {
		if n != 1 && !running[key.session] {
			return fmt.Errorf("operation %d of session %s has %d results, want one", key.id, key.session, n)
		}
	}
	return nil
}
