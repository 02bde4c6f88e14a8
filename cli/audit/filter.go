// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/doorward/doorward/proxy/record"
)

// filter chooses records.
type filter struct {
	session, actor, connection string
	types                      []string
	denied                     bool
	since, until               string
	// reads has a session's records be those of who read its recording, too.
	reads bool

	from, to time.Time
	// sessions are those in which a record names the actor: others of its
	// records do not.
	sessions map[string]bool
}

func (f *filter) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.session, "session", "", "Only records of this session.")
	flags.StringVar(&f.actor, "actor", "", "Only records of this caller: user name, subject or Kubernetes user.")
	flags.StringSliceVar(&f.types, "type", nil, "Only records of these types, such as SessionStart or OperationDecided.")
	flags.BoolVar(&f.denied, "denied", false, "Only what was refused.")
	flags.StringVar(&f.since, "since", "", "Only records from this time on: a duration back from now, such as 2h, or a time in RFC 3339.")
	flags.StringVar(&f.until, "until", "", "Only records before this time, in the same forms.")
	flags.StringVar(&f.connection, "connection", "", "Only records of this Connection: its name, or namespace/name.")
}

var types = []record.Type{
	record.ProxyStart, record.ProxyStop, record.Recovery, record.SnapshotApplied, record.SnapshotRefused, record.AuthenticationFailed,
	record.SessionRefused, record.AccessReviewed, record.SessionStart, record.SessionEnd, record.OperationDecided, record.OperationHeld, record.OperationResult,
	record.TargetWatched, record.ForeignLogin, record.SharedCredential, record.RecordingChunk, record.RecordingEnd, record.RecordingRead, record.Checkpoint, record.KeyRotated,
}

func (f *filter) complete(now time.Time) error {
	var err error
	if f.from, err = moment("--since", f.since, now); err != nil {
		return err
	}
	if f.to, err = moment("--until", f.until, now); err != nil {
		return err
	}
	for _, t := range f.types {
		if !slices.Contains(types, record.Type(t)) {
			return fmt.Errorf("record type not known: %q: one of %v", t, types)
		}
	}
	f.sessions = map[string]bool{}
	return nil
}

// moment reads a time: a duration back from now, or the time itself.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("time not understood: %s %q: a duration such as 90m, or a time such as 2026-03-04T05:06:07Z", flag, text)
	}
	return t, nil
}

// match chooses by all but the actor. It may be called from several goroutines.
func (f *filter) match(line []byte) bool {
	if f.session != "" {
		// Cheap, before the record is decoded.
		quoted, err := json.Marshal(f.session)
		if err != nil || !bytes.Contains(line, quoted) {
			return false
		}
	}
	d, err := record.Decode(line)
	if err != nil {
		return false
	}
	switch {
	case f.session != "" && d.Session != f.session && (!f.reads || d.Read == nil || d.Read.Session != f.session),
		len(f.types) > 0 && !slices.Contains(f.types, string(d.Type)) && (f.actor == "" || d.Type != record.SessionStart),
		f.connection != "" && !ofConnection(&d, f.connection),
		!f.from.IsZero() && d.Time.Before(f.from) && (f.actor == "" || d.Type != record.SessionStart),
		!f.to.IsZero() && !d.Time.Before(f.to),
		f.denied && !refused(&d) && (f.actor == "" || d.Type != record.SessionStart):
		return false
	}
	return true
}

// keep chooses by the actor, of the records in order: one that names none is
// the actor's where its session is. A session's start passes match whatever
// else is asked for, so that it can be known; it is shown where it matches.
func (f *filter) keep(d *record.Document) bool {
	if f.actor == "" {
		return true
	}
	own := f.sessions[d.Session] && d.Session != ""
	if a := d.Actor; a != nil {
		own = strings.EqualFold(a.UserName, f.actor) || a.Subject == f.actor || a.KubernetesUser == f.actor
		if own && d.Session != "" {
			f.sessions[d.Session] = true
		}
	}
	return own && (d.Type != record.SessionStart ||
		(len(f.types) == 0 || slices.Contains(f.types, string(d.Type))) && (f.from.IsZero() || !d.Time.Before(f.from)) && !f.denied)
}

func ofConnection(d *record.Document, want string) bool {
	c := d.Connection
	return c != nil && (c.Name == want || c.Namespace+"/"+c.Name == want)
}

// refused says whether a record is about something that was not let through.
func refused(d *record.Document) bool {
	switch d.Type {
	case record.SessionRefused, record.AuthenticationFailed, record.SnapshotRefused:
		return true
	case record.RecordingRead:
		return d.Decision == nil || d.Decision.Effect != "Allow"
	case record.OperationDecided:
		if d.Decision == nil {
			return true
		}
		approved := d.Approval != nil && d.Approval.Outcome == "Approved"
		return d.Decision.Effect != "Allow" && (d.Decision.Effect != "RequireApproval" || !approved)
	default:
		return false
	}
}
