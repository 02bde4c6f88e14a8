// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/access"
)

// enter proves the caller, opens the session and runs it. An error means that
// the client was not told anything yet.
func (h *handler) enter(ctx context.Context, client *tls.Conn, packet []byte, entry *access.Entry, begun func()) error {
	start, err := parseStartup(packet)
	if err != nil {
		return err
	}
	if start.negotiate != nil {
		if _, err := client.Write(encode(nil, start.negotiate)); err != nil {
			return err
		}
	}
	proving, cancel := context.WithTimeout(ctx, startupBound)
	defer cancel()
	caller, err := start.authenticate(proving, client, entry)
	if err != nil {
		return err
	}
	grant, err := caller.Authorize(proving, start.attributes()...)
	if err != nil {
		return err
	}
	// Authorizing and connecting have bounds of their own.
	begun()
	_ = client.SetDeadline(time.Time{})
	return h.session(ctx, client, start, grant)
}

// session runs a granted session to its end. It returns an error where the
// client was not told anything yet.
func (h *handler) session(ctx context.Context, client *tls.Conn, start startup, grant *access.Grant) (err error) {
	reason := "the client left"
	defer func() { grant.Close(reason) }()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(grant.Context(), func() { cancel(context.Cause(grant.Context())) })()

	s, err := h.open(ctx, client, start, grant)
	if err != nil {
		reason = "the session could not be opened: " + access.AsRefusal(err).Message
		if ctx.Err() != nil {
			cause := context.Cause(ctx)
			err = &access.Refusal{Reason: access.ReasonSessionEnded, Code: endCode(cause), Message: cause.Error(), Hint: endHint(cause)}
		}
		return err
	}
	defer func() {
		_ = s.target.conn.Close()
		s.target.gone()
	}()
	defer h.forget(s)
	reason = s.run(ctx)
	s.beside.Wait()
	return nil
}

// open makes the session and reaches its target.
func (h *handler) open(ctx context.Context, client *tls.Conn, start startup, grant *access.Grant) (*session, error) {
	opts, err := parseOptions(grant.Options())
	if err != nil {
		return nil, &access.Refusal{Reason: access.ReasonUnavailable, Message: "the Connection's options cannot be read", Hint: "Ask an admin to look at the Connection's conditions."}
	}
	if !opts.serves(start.database) {
		return nil, &access.Refusal{
			Reason: access.ReasonNotAllowed, Code: stateInvalidCatalog,
			Message: fmt.Sprintf("database %q is not served by this Connection", oneLine(start.database)),
			Hint:    "Connect with dbname set to one of: " + strings.Join(opts.Databases, ", ") + ".",
		}
	}
	ctx, cancel := context.WithTimeout(ctx, connectBound)
	defer cancel()
	s := &session{
		handler: h, grant: grant, client: client,
		prepared: map[string]*prepared{}, portals: map[string]*portal{}, bound: map[string]*portal{}, wake: make(chan struct{}, 1),
		temp: map[string]bool{}, created: map[string]bool{}, cursors: cursors{}, early: map[string]early{},
		foreign: map[uint32]bool{}, status: 'I',
	}
	if err := s.reach(ctx, start, opts); err != nil {
		return nil, err
	}
	s.watched = map[string]string{"application_name": s.applicationName()}
	for key, value := range enforced {
		s.watched[key] = value
	}
	if user, ok := s.target.status["session_authorization"]; ok {
		s.watched["session_authorization"] = user
	}
	h.remember(s, start.longKey)
	return s, nil
}

// reach connects the session to the first of its targets that is what the
// Connection wants. Where a standby is preferred, any will do after all of them.
func (s *session) reach(ctx context.Context, start startup, o options) error {
	attempt := func(want string) error {
		o.TargetSessionAttrs = want
		return s.grant.Dial(ctx, func(ctx context.Context, up access.Upstream) error { return s.accept(ctx, up, start, o) })
	}
	if o.TargetSessionAttrs != attrsPreferStandby {
		return attempt(o.TargetSessionAttrs)
	}
	without := &s.handler.withoutStandby
	if time.Since(time.Unix(0, without.Load())) > standbyPause {
		if err := attempt(attrsStandby); err == nil || ctx.Err() != nil || s.grant.Context().Err() != nil {
			return err
		}
		without.Store(time.Now().UnixNano())
	}
	return attempt(attrsAny)
}

// standbyPause is how long no standby is looked for where none was found.
const standbyPause = 10 * time.Second

// accept enters one target: its catalog first, so that the search path is asked
// for later than the schemas that are known.
func (s *session) accept(ctx context.Context, up access.Upstream, start startup, o options) error {
	s.database = s.handler.database(start.database, up.Target)
	cat, err := s.database.entering(ctx, s.grant, o.TargetSessionAttrs)
	if err != nil {
		return connectRefusal(s.grant, err)
	}
	parameters := map[string]string{"application_name": s.applicationName()}
	for key, value := range start.passed {
		parameters[key] = value
	}
	role := s.grant.TargetRole()
	if role != "" {
		// As a startup parameter it is the session's default, which RESET ROLE and
		// DISCARD ALL lead back to.
		parameters["role"] = role
	}
	conn, err := prove(ctx, s.grant, up, o, start.database, parameters)
	if err != nil {
		return connectRefusal(s.grant, roleFailure(s.grant, role, err))
	}
	var found []string
	if s.target, found, err = takeOver(ctx, conn); err == nil {
		err = s.beginNames(found, cat)
	}
	if err != nil {
		_ = conn.Conn().Close()
		return connectRefusal(s.grant, err)
	}
	s.target.address, s.target.direct = up.Target, o.SSLNegotiation == sslDirect
	s.target.gone = s.handler.backends.enter(up.Target, s.target.pid)
	return nil
}

func (s *session) applicationName() string {
	return applicationName(s.grant.Principal(), s.grant.Session())
}
