// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	sessions := map[string]bool{}
	tell, end := audit.Progress(o.ErrOut, "Reading")
	problems, err := verify.Read(ctx, o.records, verify.ReadOptions{Match: match, TempDir: o.tempDir, Progress: tell}, func(r record.Record) error {
		d, err := record.Decode(r.JSON)
		if err != nil || d.Session == "" || !strings.HasSuffix(d.Session, o.session) {
			return err
		}
		if sessions[d.Session] = true; len(sessions) == 1 {
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

func several(sessions map[string]bool) error {
	names := make([]string, 0, len(sessions))
	for name := range sessions {
		names = append(names, audit.Safe(name))
	}
	slices.Sort(names)
	more := ""
	if len(names) > maxListed {
		names, more = names[:maxListed], ", ..."
	}
	return fmt.Errorf("%d sessions would do: give one with --records: %s%s", len(sessions), strings.Join(names, ", "), more)
}
