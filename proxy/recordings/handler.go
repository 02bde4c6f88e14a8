// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
	"github.com/doorward/doorward/proxy/recordings/wire"
)

// fault is why there is no recording.
type fault struct {
	code                     int
	reason, message, outcome string
}

// ServeHTTP answers one request of the manager.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := s.answer(w, r); f != nil {
		s.options.Served(f.outcome)
		body, err := json.Marshal(wire.NewStatus(f.code, f.reason, f.message))
		if err != nil {
			panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to break off
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(f.code)
		_, _ = w.Write(body) // the manager may have left
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) *fault {
	if r.Method != http.MethodPost || r.RequestURI != wire.Path {
		return &fault{http.StatusNotFound, wire.ReasonInvalid, "recordings are asked for by POST to " + wire.Path, "Invalid"}
	}
	asked, err := wire.Read(r.Body)
	if err != nil {
		return &fault{http.StatusBadRequest, wire.ReasonInvalid, err.Error(), "Invalid"}
	}
	// The request has come; what is read from now on is only whether the manager is there.
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return &fault{http.StatusInternalServerError, wire.ReasonInvalid, "the connection cannot be kept", "Invalid"}
	}
	select {
	case s.readings <- struct{}{}:
		defer func() { <-s.readings }()
	default:
		return &fault{http.StatusServiceUnavailable, wire.ReasonBusy, fmt.Sprintf("%d recordings of this Connection are being read: try again", mostReadings), "Busy"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), wholeBound)
	defer cancel()
	now, inForce := s.options.Now()
	if !inForce {
		return &fault{http.StatusServiceUnavailable, wire.ReasonNoSnapshot, "no snapshot in force: try again", "NoSnapshot"}
	}
	if f := s.find(ctx, asked, now); f != nil {
		return f
	}
	through, err := s.record(ctx, asked, now)
	if err != nil {
		s.options.Logger.Error(err, "Recording not given: the reading could not be put on record", "session", asked.Session, "reader", asked.Reader.Username)
		return &fault{http.StatusServiceUnavailable, wire.ReasonUnrecorded, "the reading could not be put on record, so nothing is read: see the proxy's log", "Unrecorded"}
	}
	if asked.Decision != wire.Allow {
		s.options.Served("Refused")
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	w.Header().Set("Content-Type", extract.MediaType)
	// The manager waits so long for the record only: reading a large log may take longer.
	err = control.Flush()
	if err == nil {
		err = s.give(ctx, &steady{control: control, to: w}, asked, through)
	}
	if err != nil {
		s.options.Served("Broken")
		if ctx.Err() == nil {
			s.options.Logger.Error(err, "Recording not given as a whole", "session", asked.Session, "reader", asked.Reader.Username)
		}
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to break off, so that nobody takes a part for the whole
	}
	s.options.Served("Served")
	return nil
}

// give writes the session's records, and where that is asked for those that come.
func (s *Server) give(ctx context.Context, to *steady, asked *wire.Request, through int64) error {
	if !asked.Follow {
		return s.options.Log.Extract(ctx, to, asked.Session, asked.FirstRecord, through)
	}
	return s.options.Log.Follow(ctx, to, &extract.Live{
		Session: asked.Session, First: asked.FirstRecord, Through: through,
		Until: time.Now().Add(followBound), Beat: followBeat, Pushed: to.control.Flush,
	})
}

// find sees to it that the session is of this log and this Connection.
func (s *Server) find(ctx context.Context, asked *wire.Request, now Now) *fault {
	missing := func(format string, args ...any) *fault {
		return &fault{http.StatusNotFound, wire.ReasonNotFound, fmt.Sprintf(format, args...), "NotFound"}
	}
	if asked.Namespace != now.Connection.Namespace || asked.Name != now.Connection.Name {
		return missing("this port is for another Connection than %s/%s", asked.Namespace, asked.Name)
	}
	if own := s.options.Log.ID(); asked.Log != own {
		return missing("the proxy's log is %s now, and the session is in %s", own, asked.Log)
	}
	first, err := s.options.Log.At(ctx, asked.FirstRecord)
	switch {
	case errors.Is(err, s.options.Gone):
		return &fault{http.StatusGone, wire.ReasonGone, "the proxy's log keeps the session's first records no longer", "Gone"}
	case err != nil:
		return missing("the proxy's log has no record %d: %v", asked.FirstRecord, err)
	}
	d, err := record.Decode(first.JSON)
	if err != nil || d.Type != record.SessionStart || d.Session != asked.Session || d.Connection == nil ||
		d.Connection.Namespace != now.Connection.Namespace || d.Connection.Name != now.Connection.Name {
		return missing("record %d of the proxy's log does not begin session %q", asked.FirstRecord, asked.Session)
	}
	return nil
}

// record returns the place of the reading's record once it is durable.
func (s *Server) record(ctx context.Context, asked *wire.Request, now Now) (int64, error) {
	// It is written whether or not the reader waits for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordBound)
	defer cancel()
	decision, code := &record.Decision{Effect: policy.Allow, Cause: asked.Reason}, record.Reason("")
	if asked.Decision != wire.Allow {
		decision.Effect, code = policy.Deny, record.ReasonNotAllowed
	}
	position, err := s.options.Log.Append(ctx, record.Event{
		Type: record.RecordingRead, Connection: now.Connection, Revision: now.Revision, Durability: now.Durability,
		Actor: principal(&asked.Reader), ClientAddress: asked.ClientAddress, Decision: decision, ReasonCode: code,
		Read: &record.Read{Session: asked.Session, FirstRecord: asked.FirstRecord, Unrecorded: asked.Unrecorded, Follow: asked.Follow},
	})
	return position.Index, err
}

// principal is a reader as the API server knows them.
func principal(r *wire.Reader) *identity.Principal {
	p := &identity.Principal{Subject: r.UID, UserName: r.Username, KubernetesUser: r.Username, Groups: r.Groups, Method: "tokenreview"}
	for _, name := range slices.Sorted(maps.Keys(r.Extra)) {
		p.Claims = append(p.Claims, identity.Claim{Name: name, Values: r.Extra[name]})
	}
	return p
}

// steady gives each write its time: a reader who takes nothing is cut off.
type steady struct {
	control *http.ResponseController
	to      http.ResponseWriter
	set     time.Time
}

func (s *steady) Write(p []byte) (int, error) {
	if now := time.Now(); now.Sub(s.set) > time.Second {
		if err := s.control.SetWriteDeadline(now.Add(stallBound)); err != nil {
			return 0, err
		}
		s.set = now
	}
	return s.to.Write(p)
}
