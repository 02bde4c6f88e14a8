// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify"
)

const (
	// maxEntries bounds a session's records that are held in memory.
	maxEntries = 1 << 20
	// maxListed bounds the sessions that are listed where several would do.
	maxListed = 20
)

// read returns the records of one session, in order.
func (o *options) read(ctx context.Context) ([]record.Document, error) {
	match := func(line []byte) bool {
		// The bytes are a coarse sieve: the name decides once the record is decoded.
		return bytes.Contains(line, []byte(`"session":`)) && (o.session == "" || bytes.Contains(line, []byte(o.session+`"`)))
	}
	var found []record.Document
	sessions := map[place]bool{}
	tell, end := audit.Progress(o.ErrOut, "Reading")
	problems, err := verify.Read(ctx, o.records, verify.ReadOptions{Match: match, TempDir: o.tempDir, Progress: tell}, func(r record.Record) error {
		d, err := record.Decode(r.JSON)
		if err != nil || d.Session == "" || !strings.HasSuffix(d.Session, o.session) {
			return err
		}
		if sessions[place{d.Log, d.Session}] = true; len(sessions) == 1 {
			if len(found) == maxEntries {
				return fmt.Errorf("session %q has more than %d records: use \"kubectl doorward audit show --session\"", audit.Safe(d.Session), maxEntries)
			}
			if err := o.terminals.take(&d); err != nil {
				return err
			}
			found = append(found, d)
		}
		return nil
	})
	end()
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		fmt.Fprintln(o.ErrOut, "warning:", audit.Safe(p.Sentence))
	}
	switch {
	case len(problems) > 0 && !o.noVerify:
		return nil, audit.ErrUnreadable
	case len(sessions) > 1:
		return nil, several(sessions)
	case len(found) == 0 && o.session != "":
		return nil, fmt.Errorf("no session %q in these records: run \"kubectl doorward audit show --type SessionStart\" on them", o.session)
	case len(found) == 0:
		return nil, errors.New("no session in these records")
	}
	return found, nil
}

// place is a session in its log. Anybody can make a log with a key of their own, and in it a
// session that is called as another: what is of two logs is never shown as one session.
type place struct{ log, session string }

func several(sessions map[place]bool) error {
	names, logs := map[string]bool{}, map[string]bool{}
	for at := range sessions {
		names[audit.Safe(at.session)], logs[audit.Safe(at.log)] = true, true
	}
	if len(names) == 1 {
		return fmt.Errorf("the session is in %d logs, and in one only it was held: give the files of that one with --records, which its AuditSession names in status.log.id: %s", len(logs), listed(logs))
	}
	return fmt.Errorf("%d sessions would do: give one with --records: %s", len(names), listed(names))
}

// listed are names in order, not too many of them.
func listed(names map[string]bool) string {
	all := slices.Sorted(maps.Keys(names))
	if len(all) > maxListed {
		all = append(all[:maxListed], "...")
	}
	return strings.Join(all, ", ")
}
