// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"fmt"

	"github.com/doorward/doorward/proxy/policy"
)

// transfer handles a READ or WRITE: it allocates nothing where it is allowed, and the data
// of a WRITE passes as it comes.
func (s *session) transfer(ctx context.Context, head packetHead) error {
	if err := s.fromClient.need(min(head.size, maxTransferHead)); err != nil {
		return unexpected(err)
	}
	packet := s.fromClient.buffered()
	t, err := decodeTransfer(head, packet[:min(len(packet), head.size)])
	s.mu.Lock()
	isReused := s.owed.byID[head.id] != nil
	f := s.files.byHandle[string(t.handle)]
	s.mu.Unlock()
	switch {
	case isReused:
		return s.breach(ctx, reused(head.id))
	case err != nil:
		return s.refuse(ctx, head, &request{kind: head.kind}, StatusBadMessage, err.Error())
	case f == nil:
		return s.refuse(ctx, head, &request{kind: head.kind}, StatusFailure, unknownHandle)
	case head.kind == typeRead && !f.mayRead, head.kind == typeWrite && !f.mayWrite:
		return s.exceeds(ctx, head, f)
	}
	s.mu.Lock()
	o := s.owed.take()
	s.mu.Unlock()
	o.id, o.kind, o.file, o.offset, o.length = head.id, head.kind, f, t.offset, t.length
	if head.kind == typeRead {
		if !f.isRead {
			f.isRead = true
			f.read.begin(t.offset)
		}
		if err := s.owe(ctx, o, nil); err != nil {
			return err
		}
		s.fromClient.pass(head.size)
		return nil
	}
	if err := s.owe(ctx, o, nil); err != nil {
		return err
	}
	s.fromClient.pass(t.size)
	return s.fromClient.stream(int(t.length), &f.written, t.offset)
}

// exceeds refuses what the handle was not opened for.
func (s *session) exceeds(ctx context.Context, head packetHead, f *file) error {
	r := &request{kind: head.kind}
	action, what := ActionRead, "reading"
	if head.kind == typeWrite {
		action, what = ActionWrite, "writing"
	}
	message := fmt.Sprintf("%q was not opened for %s", f.path, what)
	op := &Operation{
		Kind: r.name(), Statement: r.name() + ": " + message, Accesses: []policy.Access{{Action: action, Resource: f.path}},
		Refuse: &Refusal{StatusPermissionDenied, message},
	}
	_, err := s.decide(ctx, op)
	return s.deny(ctx, head, op, err)
}
