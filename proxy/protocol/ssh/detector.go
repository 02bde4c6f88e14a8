// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"io"
	"slices"
	"sync/atomic"

	"github.com/doorward/doorward/proxy/policy"
)

// detector ends a session in whose shell something is typed that reads as a command which a rule
// denies. It is advisory: it sees keys, holds nothing back, and finds the honest and the clumsy.
// What is typed may be a password, so that nothing of it goes on record. A nil detector finds nothing;
// all methods may be called on it.
type detector struct {
	run    *run
	typing typing
	screen screen
}

// detector is one for a shell, where the Connection asks for it; else nil.
func (r *run) detector() *detector {
	if !r.wanted.shell || r.options.Advisory == "" {
		return nil
	}
	return &detector{run: r, typing: typing{terminal: r.terminal != nil}}
}

// watch is what the shell shows, looked at as it is read.
func (d *detector) watch(shown io.Reader) io.Reader {
	if d == nil || !d.typing.terminal {
		return shown
	}
	return io.TeeReader(shown, &d.screen)
}

// lines are those that a chunk of what is typed ends. It is asked before the target has the chunk,
// which may end the program that takes it.
func (d *detector) lines(chunk []byte) []string {
	switch {
	case d == nil:
		return nil
	case d.screen.alternate.Load():
		// An editor or a pager takes the keys. The shell begins a line when it is done.
		d.typing = typing{terminal: true}
		return nil
	}
	return slices.Collect(d.typing.lines(chunk))
}

// last is the line that the end of what is typed ends, where there is no terminal.
func (d *detector) last() []string {
	if d == nil || d.typing.terminal {
		return nil
	}
	return d.lines([]byte{'\n'})
}

// judge takes lines that the target was sent, and says whether it has ended the session.
func (d *detector) judge(lines []string) bool { return slices.ContainsFunc(lines, d.denied) }

// denied reads a line as one of exec. What cannot be read of it is left out: a shell may do what
// exec may not.
func (d *detector) denied(line string) bool {
	var w wanted
	w.line(line, &d.run.options, d.typing.terminal)
	w.accesses = slices.DeleteFunc(w.accesses, func(a policy.Access) bool { return a.Action == policy.ActionUnknown })
	if len(w.accesses) == 0 {
		return false
	}
	if d.typing.terminal {
		w.properties = append(w.properties, propertyTerminal)
	}
	w.sort()
	return d.run.grant.Advise(policy.Operation{Accesses: w.accesses, Properties: w.properties})
}

// alternates is what programs that draw on the whole terminal write when they begin, with an "h"
// behind it, and with an "l" when they are done (XTerm Control Sequences, mode 1049).
const alternates = "\x1b[?1049"

// screen follows whether a terminal shows its alternate screen.
type screen struct {
	alternate atomic.Bool
	// matched is how much of alternates was shown last.
	matched int
}

// Write implements io.Writer, and never fails.
func (s *screen) Write(shown []byte) (int, error) {
	for _, c := range shown {
		switch {
		case s.matched < len(alternates) && c == alternates[s.matched]:
			s.matched++
			continue
		case s.matched == len(alternates) && (c == 'h' || c == 'l'):
			s.alternate.Store(c == 'h')
		}
		s.matched = 0
		if c == alternates[0] {
			s.matched = 1
		}
	}
	return len(shown), nil
}
