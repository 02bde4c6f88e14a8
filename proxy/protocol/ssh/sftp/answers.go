// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// answers is the pump from the target to the client.
func (s *session) answers(ctx context.Context) error {
	defer func() {
		s.midway = false
		s.letGo()
	}()
	for {
		head, err := s.fromTarget.next()
		if err == nil {
			err = s.answered(ctx, head)
		}
		switch {
		case err == nil:
		case errors.Is(err, errFraming), errors.Is(err, errMalformed):
			return fmt.Errorf("%w: %w", ErrTarget, err)
		case s.left.Load() && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return errTargetLeft
		default:
			return err
		}
	}
}

// answered handles one packet of the target.
func (s *session) answered(ctx context.Context, head packetHead) error {
	s.mu.Lock()
	o := s.owed.byID[head.id]
	s.mu.Unlock()
	// Only this pump takes out what the target answers, so it stays.
	if o == nil || o.here != nil {
		return fmt.Errorf("%w: an answer to request %d, which it does not have", ErrTarget, head.id)
	}
	if o.own {
		return s.replied(head, o)
	}
	if is := o.answer(); head.kind != typeStatus && (is == 0 || head.kind != is) {
		return fmt.Errorf("%w: an answer of type %d to a request of type %d", ErrTarget, head.kind, o.kind)
	}
	if permit := o.decided(); permit != nil {
		if err := s.durable(ctx, permit); err != nil {
			return err
		}
	}
	if err := s.returned(head, o); err != nil {
		return err
	}
	return s.turns()
}

// answer is the type of the answer to a request where it is not a STATUS; 0 where it
// always is.
func (o *owed) answer() byte {
	switch o.kind {
	case typeOpen, typeOpendir:
		return typeHandle
	case typeRead:
		return typeData
	case typeLstat, typeStat, typeFstat:
		return typeAttrs
	case typeReaddir, typeRealpath, typeReadlink:
		return typeName
	case typeExtended:
		return extensions[o.extension].answer
	}
	return 0
}

// decided is the permit that the answer is the first of; nil where it is not.
func (o *owed) decided() Permit {
	if o.kind == typeOpen || o.kind == typeOpendir {
		return o.file.permit
	}
	return o.permit
}

// durable waits for a record before its answer; what was answered before does not wait.
func (s *session) durable(ctx context.Context, permit Permit) error {
	if err := s.fromTarget.flush(); err != nil {
		return err
	}
	return permit.Durable(ctx)
}

// replied takes the answer to a question of the relay's own.
func (s *session) replied(head packetHead, o *owed) error {
	packet, err := s.fromTarget.whole(head.size)
	if err != nil {
		return err
	}
	reply, err := decodeReply(packet)
	if err != nil {
		return err
	}
	if err := s.fromTarget.drop(head.size); err != nil {
		return err
	}
	s.mu.Lock()
	s.reply = reply
	s.owed.remove(o)
	s.owed.recycle(o)
	s.mu.Unlock()
	s.wake()
	return nil
}

// returned checks an answer, passes it on, and takes its request out.
func (s *session) returned(head packetHead, o *owed) error {
	var field uint32 // the first of an answer that has one
	switch head.kind {
	case typeStatus, typeData, typeName, typeHandle:
		if err := s.fromTarget.need(min(head.size, headSize+4)); err != nil {
			return unexpected(err)
		}
		if head.size < headSize+4 {
			return fmt.Errorf("%w: an answer of type %d with %d bytes", errFraming, head.kind, head.size)
		}
		field = binary.BigEndian.Uint32(s.fromTarget.buffered()[headSize:])
	}
	rest := int64(head.size - headSize - 4)
	switch head.kind {
	case typeData:
		if int64(field) != rest || field > o.length {
			return fmt.Errorf("%w: %d bytes of data in a packet of %d, to a request for %d", errMalformed, field, head.size, o.length)
		}
		return s.data(head, o)
	case typeName:
		// Each has two strings and the flags of its attributes.
		if field > maxNames || int64(field)*12 > rest {
			return fmt.Errorf("%w: %d names in a packet of %d bytes, at most %d are taken", errMalformed, field, head.size, maxNames)
		}
		if o.kind == typeReaddir {
			if err := o.file.permit.Take(int64(field), 0); err != nil {
				return s.withhold(head, o, err)
			}
		}
	case typeHandle:
		if field == 0 || field > maxHandle || int64(field) != rest {
			return fmt.Errorf("%w: a handle of %d bytes", errMalformed, field)
		}
	}
	if err := s.settles(head, o, field); err != nil {
		return err
	}
	s.midway = true
	err := s.fromTarget.stream(head.size, nil, 0)
	s.midway = false
	return err
}

// data passes the answer to a READ on as it comes.
func (s *session) data(head packetHead, o *owed) error {
	f, n := o.file, head.size-headSize-4
	if err := f.permit.Take(0, int64(n)); err != nil {
		return s.withhold(head, o, err)
	}
	s.hold()
	s.midway = true
	s.fromTarget.pass(headSize + 4)
	err := s.fromTarget.stream(n, &f.read, o.offset)
	s.midway = false
	if err != nil {
		return err
	}
	// The last of it is not written yet, so its id is not in use again.
	s.complete(o, Result{Outcome: Succeeded})
	return nil
}

// withhold answers a request with a refusal in the place of the target's answer.
func (s *session) withhold(head packetHead, o *owed, refusal error) error {
	var denied *Denied
	if !errors.As(refusal, &denied) {
		return refusal
	}
	here := statusPacket(o.id, StatusPermissionDenied, neutral(denied.Message))
	s.hold()
	s.midway = true
	err := s.fromTarget.skip(head.size)
	if err == nil {
		s.complete(o, Result{Outcome: Failed, Status: StatusPermissionDenied})
		err = s.toClient(here)
	}
	s.midway = false
	return err
}

// turns sends the relay's own answers whose turn it is.
func (s *session) turns() error {
	s.hold()
	for {
		s.mu.Lock()
		o := s.owed.first
		if o == nil || o.here == nil {
			s.mu.Unlock()
			return nil
		}
		s.owed.remove(o)
		s.mu.Unlock()
		s.midway = true
		err := s.fromTarget.flush()
		if err == nil {
			err = s.toClient(o.here)
		}
		s.midway = false
		if err != nil {
			return err
		}
		s.wake()
	}
}
