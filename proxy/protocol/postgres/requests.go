// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/proxy/access"
)

// errLeft says that the client went away.
var errLeft = errors.New("the client left")

// Messages that the proxy sends by itself.
var (
	flushMessage = []byte{msgFlush, 0, 0, 0, 4}
	syncMessage  = []byte{msgSync, 0, 0, 0, 4}
	emptyQuery   = []byte{msgQuery, 0, 0, 0, 5, 0}
	// failureMessage is a Bind of a statement that cannot exist: clients'
	// names are refused where they begin so.
	failureMessage = appendMessage(nil, msgBind, []byte("\x00"+reservedName+"\x00"), make([]byte, 6))
)

// reservedName is a statement name that no client may use.
const reservedName = "doorward_refused"

func frontendLimit(byte) int { return MaxFrontendMessage }

// requests is the pump from the client to the target. It returns nil where the
// client said goodbye.
func (s *session) requests(ctx context.Context) error {
	s.holding.life = ctx
	for {
		kind, n, err := s.fromClient.peek(frontendLimit)
		if err != nil {
			return s.readFailure(ctx, err)
		}
		raw, err := s.fromClient.take(n)
		if err != nil {
			return s.readFailure(ctx, err)
		}
		if kind == msgTerminate {
			s.left.Store(true)
			if _, err := s.toTarget.Write(raw); err != nil {
				return err
			}
			return s.toTarget.Flush()
		}
		if err := s.request(ctx, kind, raw); err != nil {
			return err
		}
		if err := s.throttle(ctx); err != nil {
			return err
		}
	}
}

// throttle stops reading a client that asks much faster than the target answers.
func (s *session) throttle(ctx context.Context) error {
	if !s.crowded {
		return nil
	}
	s.crowded = false
	return s.idle(ctx)
}

func (s *session) readFailure(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errFraming):
		return s.breach(ctx, "Framing", violation("%s", err.Error()))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errLeft
	default:
		return fmt.Errorf("%w: %w", errLeft, err)
	}
}

// breach puts a breach of the protocol on record; it ends the session.
func (s *session) breach(ctx context.Context, kind string, refusal *access.Refusal) error {
	return s.refuseText(ctx, kind, "", refusal)
}

// request handles one message of the client. Every message type is named here;
// an error ends the session.
func (s *session) request(ctx context.Context, kind byte, raw []byte) error {
	content := raw[headerLength:]
	if s.copying {
		return s.copyRequest(ctx, kind, raw)
	}
	switch kind {
	case msgQuery, msgFunctionCall:
		return s.simple(ctx, kind, content)
	case msgParse, msgBind, msgDescribe, msgExecute, msgClose:
		if s.skipping {
			return nil // as the server does after an error, up to the next Sync
		}
		s.open = true
		err := s.extended(ctx, kind, raw)
		if errors.Is(err, errMalformed) {
			return s.breach(ctx, "Malformed", violation("message %q: %s", kind, err.Error()))
		}
		return s.refuseExtended(ctx, err)
	case msgFlush:
		if err := decodeEmpty(content); err != nil {
			return s.breach(ctx, "Malformed", violation("message %q: %s", kind, err.Error()))
		}
		if s.skipping {
			return nil
		}
		_, err := s.toTarget.Write(raw)
		return err
	case msgSync:
		if err := decodeEmpty(content); err != nil {
			return s.breach(ctx, "Malformed", violation("message %q: %s", kind, err.Error()))
		}
		return s.sync()
	case msgCopyData, msgCopyDone, msgCopyFail:
		// Dropped, as the server drops it: some clients send without waiting to be
		// asked, or still send after their COPY has failed, was refused, or went out.
		return nil
	case msgPassword:
		return s.breach(ctx, "PasswordMessage", violation("a password or SASL message arrived after the session had started"))
	default:
		return s.breach(ctx, "Message", violation("unknown message type %q", kind))
	}
}

// sync ends a segment.
func (s *session) sync() error {
	s.dropAllEarly()
	if err := s.poison(); err != nil {
		return err
	}
	s.pushSync()
	s.segment++
	s.open, s.executed, s.skipping, s.turned = false, false, false, false
	_, err := s.toTarget.Write(syncMessage)
	return err
}

// simple handles Query and FunctionCall, which are their own segment.
func (s *session) simple(ctx context.Context, kind byte, content []byte) error {
	s.dropAllEarly()
	if s.open {
		// A Query without a Sync before it: whether the target skips it hangs
		// on what came before.
		if err := s.idle(ctx); err != nil {
			return err
		}
		s.mu.Lock()
		dropped := s.skipped
		s.mu.Unlock()
		if dropped || s.skipping {
			return nil
		}
	}
	if kind == msgFunctionCall {
		return s.refuseSimple(ctx, s.refuseText(ctx, "FunctionCall", "", &access.Refusal{
			Reason: access.ReasonProtocol, Code: stateFeatureNotSupported,
			Message: "function calls of the wire protocol are never forwarded", Hint: "Call the function in a SELECT.",
		}))
	}
	text, err := decodeText(content, "query")
	if err != nil {
		return s.breach(ctx, "Malformed", violation("message %q: %s", kind, err.Error()))
	}
	s.received, s.source = s.grant.Mark(), text
	e, err := s.query(ctx, text)
	s.source = ""
	if err != nil {
		return s.refuseSimple(ctx, err)
	}
	s.turned = false // its end says whether a transaction is open
	// A simple query ends the life of the unnamed statement.
	s.mu.Lock()
	delete(s.prepared, "")
	s.mu.Unlock()
	if e.counted() {
		return s.countedQuery(ctx, e, text)
	}
	if !s.push(e) {
		e.drop("")
		return nil
	}
	s.segment++
	s.open, s.executed = false, false
	if len(e.operations) == 0 {
		// The text holds no statement; nothing that could be read otherwise is sent.
		_, err = s.toTarget.Write(emptyQuery)
		return err
	}
	if err := s.writeQuery(e.forwarded(text)); err != nil {
		return err
	}
	for _, op := range e.operations {
		if op.statement.Effects.CopyIn {
			return s.awaitCopy(ctx, e)
		}
	}
	return nil
}

func (s *session) writeQuery(text string) error {
	var header [headerLength]byte
	header[0] = msgQuery
	binary.BigEndian.PutUint32(header[1:], uint32(4+len(text)+1)) //nolint:gosec // at most MaxStatement
	if _, err := s.toTarget.Write(header[:]); err != nil {
		return err
	}
	if _, err := s.toTarget.WriteString(text); err != nil {
		return err
	}
	return s.toTarget.WriteByte(0)
}

// query decides every statement of a text before any of it is forwarded.
func (s *session) query(ctx context.Context, text string) (*expected, error) {
	statements, cat, err := s.analyze(ctx, text)
	if err != nil {
		return nil, s.refuseText(ctx, "Query", text, err)
	}
	e := &expected{kind: awaitQuery}
	moved, overlap := s.moved, s.readsOnly(statements...)
	clear(s.inText)
	defer clear(s.inText)
	for _, st := range statements {
		refusal := s.full(st)
		if moved && st.needsNames() {
			refusal = movedRefusal
		}
		if refusal != nil {
			err = s.refuseText(ctx, st.Kind, st.Text, refusal)
			break
		}
		if err = s.fetchable(ctx, st); err != nil {
			err = s.refuseText(ctx, st.Kind, st.Text, err)
			break
		}
		moved = moved || s.movesNames(st)
		var op *operation
		if op, err = s.decide(ctx, st, cat, nil, overlap, true); err != nil {
			break
		}
		e.operations = append(e.operations, op)
		s.noteInText(st.Statement)
	}
	if err == nil {
		if err = s.undoable(ctx, e); err != nil {
			err = s.refuseText(ctx, "Query", text, err)
		}
	}
	if err == nil {
		for _, st := range statements {
			var changes []*change
			if changes, err = s.effects(ctx, st); err != nil {
				break
			}
			e.changes = append(e.changes, changes)
		}
	}
	if err != nil {
		e.drop("")
		return nil, err
	}
	return e, nil
}

// refuseSimple answers a refused Query.
func (s *session) refuseSimple(ctx context.Context, cause error) error {
	refusal, err := s.refusalOf(ctx, cause)
	if err != nil {
		return err
	}
	status, quiet := s.quiet()
	if quiet {
		answer := encode(nil, errorResponse("ERROR", refusal))
		return s.tell(append(answer, 'Z', 0, 0, 0, 5, status))
	}
	s.push(&expected{kind: awaitFailure, refusal: refusal})
	if _, err := s.toTarget.Write(failureMessage); err != nil {
		return err
	}
	return s.sync()
}

// refuseExtended answers a refused message of the extended protocol: what
// follows is skipped up to the next Sync.
func (s *session) refuseExtended(ctx context.Context, cause error) error {
	if cause == nil {
		return nil
	}
	refusal, err := s.refusalOf(ctx, cause)
	if err != nil {
		return err
	}
	s.skipping = true
	if _, quiet := s.quiet(); quiet && !s.executed {
		return s.tell(encode(nil, errorResponse("ERROR", refusal)))
	}
	if !s.push(&expected{kind: awaitFailure, refusal: refusal}) {
		return nil
	}
	_, err = s.toTarget.Write(failureMessage)
	return err
}

// refusalOf tells a refusal, after which the session goes on, from the end of
// the session.
func (s *session) refusalOf(ctx context.Context, cause error) (*access.Refusal, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var refusal *access.Refusal
	if !errors.As(cause, &refusal) {
		return nil, cause
	}
	if refusal.Reason == access.ReasonSessionEnded {
		return nil, cause
	}
	return refusal, nil
}

// quiet says whether the target is outside a transaction and owes nothing, so
// that the proxy can answer by itself; and the transaction status.
func (s *session) quiet() (status byte, quiet bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, s.status == 'I' && !s.owed() && !s.skipped
}
