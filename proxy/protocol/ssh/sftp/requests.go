// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/proxy/policy"
)

// errLeft says that the client is gone and everything is answered.
var errLeft = errors.New("the client left")

// requests is the pump from the client to the target.
func (s *session) requests(ctx context.Context) error {
	for {
		head, err := s.fromClient.next()
		if err != nil {
			return s.clientEnds(ctx, err)
		}
		if err := s.request(ctx, head); err != nil {
			return s.clientEnds(ctx, err)
		}
		if s.decided {
			s.deciding(false)
		}
	}
}

// clientEnds is what the requests pump ends with.
func (s *session) clientEnds(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errFraming):
		return s.breach(ctx, err.Error())
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it left within a packet", ErrClient)
	case !errors.Is(err, io.EOF):
		return err
	}
	if err := s.fromClient.flush(); err != nil {
		return err
	}
	s.left.Store(true)
	if half, ok := s.targetSide.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	if err := s.await(ctx, func() bool { return s.owed.count == 0 }); err != nil {
		return err
	}
	return errLeft
}

// breach puts what ends the session on record.
func (s *session) breach(ctx context.Context, why string) error {
	op := &Operation{
		Kind: "malformed", Statement: why, Accesses: []policy.Access{{Action: policy.ActionUnknown}},
		Refuse: &Refusal{Status: StatusBadMessage, Message: why},
	}
	if _, err := s.decide(ctx, op); !isRefused(err) {
		return err
	}
	return fmt.Errorf("%w: %s", ErrClient, why)
}

// request handles one packet of the client.
func (s *session) request(ctx context.Context, head packetHead) error {
	s.writes = head.kind == typeWrite
	if head.kind == typeInit {
		return s.breach(ctx, "a second INIT")
	}
	if head.kind == typeRead || head.kind == typeWrite {
		return s.transfer(ctx, head)
	}
	if s.inUse(head.id) {
		return s.breach(ctx, reused(head.id))
	}
	if head.size > lengthSize+maxWhole {
		return s.refuse(ctx, head, &request{kind: head.kind, extension: -1}, StatusBadMessage,
			fmt.Sprintf("a request of %d bytes, at most %d are taken", head.size, maxWhole))
	}
	packet, err := s.fromClient.whole(head.size)
	if err != nil {
		return err
	}
	r, err := decodeRequest(packet)
	switch {
	case errors.Is(err, errUnknown):
		return s.refuse(ctx, head, &r, StatusOpUnsupported, err.Error())
	case err != nil:
		return s.refuse(ctx, head, &r, StatusBadMessage, err.Error())
	}
	switch {
	case r.kind == typeClose:
		return s.close(ctx, head, &r)
	case r.kind == typeFstat, r.kind == typeReaddir, r.is(extFstatvfs), r.is(extFsync):
		return s.onHandle(ctx, head, &r)
	case r.kind == typeFsetstat, r.is(extCopyData):
		return s.onFiles(ctx, head, &r)
	}
	return s.byPath(ctx, head, &r)
}

func reused(id uint32) string {
	return fmt.Sprintf("request id %d is used again before it was answered", id)
}

func (s *session) inUse(id uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owed.byID[id] != nil
}

// close forwards a CLOSE; the handle is no longer good, whatever the target says.
func (s *session) close(ctx context.Context, head packetHead, r *request) error {
	f := s.use(r.handles[0])
	if f == nil {
		return s.refuse(ctx, head, r, StatusFailure, unknownHandle)
	}
	o := s.entry(head, r)
	o.file = f
	return s.forward(ctx, head, o, func() {
		delete(s.files.byHandle, f.handle)
		s.files.closing[f] = struct{}{}
		f.closed = true
	})
}

const unknownHandle = "the handle is none that is open"

// onHandle forwards what is part of the operation that opened a handle.
func (s *session) onHandle(ctx context.Context, head packetHead, r *request) error {
	f := s.use(r.handles[0])
	switch {
	case f == nil:
		return s.refuse(ctx, head, r, StatusFailure, unknownHandle)
	case r.kind == typeReaddir && !f.isDirectory:
		return s.refuse(ctx, head, r, StatusFailure, "the handle is not that of a directory")
	}
	o := s.entry(head, r)
	o.file = f
	return s.forward(ctx, head, o, nil)
}

// onFiles decides what is an operation of its own on files that are open.
func (s *session) onFiles(ctx context.Context, head packetHead, r *request) error {
	first := s.use(r.handles[0])
	if first == nil {
		return s.refuse(ctx, head, r, StatusFailure, unknownHandle)
	}
	paths := [2]string{first.path}
	mayRead, writes := true, first
	if r.is(extCopyData) {
		mayRead = first.mayRead
		if writes = s.use(r.handles[1]); writes == nil {
			return s.refuse(ctx, head, r, StatusFailure, unknownHandle)
		}
		paths[1] = writes.path
	}
	op := r.operation(paths)
	switch {
	case !mayRead:
		op.Refuse = &Refusal{StatusPermissionDenied, fmt.Sprintf("%q was not opened for reading", first.path)}
	case !writes.mayWrite:
		op.Refuse = &Refusal{StatusPermissionDenied, fmt.Sprintf("%q was not opened for writing; set attributes by its path", writes.path)}
	}
	permit, err := s.decide(ctx, op)
	if err != nil {
		return s.deny(ctx, head, op, err)
	}
	o := s.entry(head, r)
	o.permit, o.file = permit, first
	if writes != first {
		o.other = writes
	}
	return s.forward(ctx, head, o, nil)
}

// byPath decides what names paths, or neither paths nor handles.
func (s *session) byPath(ctx context.Context, head packetHead, r *request) error {
	paths := r.lexical(s.home)
	op := r.operation(paths)
	if s.config.Resolve != nil && r.pathCount() > 0 && s.config.Resolve(op) {
		resolved, err := s.resolve(ctx, r)
		failed := (*unresolved)(nil)
		switch {
		case errors.As(err, &failed):
			op.Refuse = &Refusal{failed.status, failed.message}
		case err != nil:
			return err
		default:
			paths = resolved
			op = r.operation(paths)
			op.Resolved = true
		}
	}
	opens := r.kind == typeOpen || r.kind == typeOpendir
	if opens && op.Refuse == nil && s.full() {
		op.Refuse = &Refusal{StatusFailure, fmt.Sprintf("%d files are open in this session, as many as one may have; close some", s.config.MaxHandles)}
	}
	permit, err := s.decide(ctx, op)
	if err != nil {
		return s.deny(ctx, head, op, err)
	}
	if op.Resolved && op.Held {
		if moved, err := s.moved(ctx, r, paths); moved || err != nil {
			permit.Done(Result{Outcome: Canceled, Status: StatusPermissionDenied})
			if err == nil {
				op.Refuse = &Refusal{StatusPermissionDenied, "the path leads elsewhere than when it was asked for; ask again"}
				err = op.Refuse
			}
			return s.deny(ctx, head, op, err)
		}
	}
	o := s.entry(head, r)
	o.renames = r.changesNames()
	if !opens {
		o.permit = permit
		return s.forward(ctx, head, o, nil)
	}
	f := &file{path: paths[0], isDirectory: r.kind == typeOpendir, permit: permit}
	f.read.held, f.written.held = &s.held, &s.held
	if !f.isDirectory {
		f.mayRead, f.mayWrite = r.rights()
	}
	o.file = f
	return s.forward(ctx, head, o, func() { s.files.opening++ })
}

// full says that as many files are open as may be.
func (s *session) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files.count() >= s.config.MaxHandles
}

// entry makes the entry of a request that is about to be forwarded.
func (s *session) entry(head packetHead, r *request) *owed {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.owed.take()
	o.id, o.kind, o.extension = head.id, head.kind, r.extension
	return o
}

// forward owes an answer and passes the packet, which is buffered, on. Note is called with
// mu held before anything of it can be answered.
func (s *session) forward(ctx context.Context, head packetHead, o *owed, note func()) error {
	permit := o.permit
	if permit == nil && (o.kind == typeOpen || o.kind == typeOpendir) {
		permit = o.file.permit
	}
	err := s.owe(ctx, o, note)
	if err != nil {
		if permit != nil {
			permit.Done(Result{Outcome: Canceled})
		}
		return err
	}
	s.fromClient.pass(head.size)
	return nil
}

// decide puts an operation before the road. What was forwarded before is on its way first.
func (s *session) decide(ctx context.Context, op *Operation) (Permit, error) {
	if err := s.fromClient.flush(); err != nil {
		return nil, err
	}
	s.deciding(true)
	permit, err := s.config.Road.Decide(ctx, op)
	switch {
	case err != nil:
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	case op.Refuse != nil:
		err = op.Refuse
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	default:
		return permit, nil
	}
	permit.Done(Result{Outcome: Canceled})
	return nil, err
}

// deciding notes that a request is being decided, or no longer.
func (s *session) deciding(is bool) {
	s.decided = is
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed.deciding = is
	s.owed.tell()
}

// isRefused says that an error of decide is answered, and the session goes on.
func isRefused(err error) bool {
	var denied *Denied
	var refusal *Refusal
	return errors.As(err, &denied) || errors.As(err, &refusal)
}

// deny answers a request, whose packet is not yet consumed, with an error of decide.
func (s *session) deny(ctx context.Context, head packetHead, op *Operation, err error) error {
	if !isRefused(err) {
		return err
	}
	code, message := StatusPermissionDenied, err.Error()
	if op.Refuse != nil {
		code, message = op.Refuse.Status, op.Refuse.Message
	}
	if err := s.fromClient.skip(head.size); err != nil {
		return err
	}
	return s.answer(ctx, head.id, code, neutral(message))
}

// refuse puts a request that the relay cannot forward on record, and answers it.
func (s *session) refuse(ctx context.Context, head packetHead, r *request, code Status, message string) error {
	op := &Operation{
		Kind: r.name(), Statement: fmt.Sprintf("%s: %s", r.name(), message),
		Accesses: []policy.Access{{Action: policy.ActionUnknown}}, Refuse: &Refusal{code, message},
	}
	_, err := s.decide(ctx, op)
	return s.deny(ctx, head, op, err)
}
