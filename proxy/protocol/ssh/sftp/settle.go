// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"fmt"
)

// settles takes a request out whose answer, of any type but DATA, is about to be passed on.
// Field is the first of an answer that has one.
func (s *session) settles(head packetHead, o *owed, field uint32) error {
	result := Result{Outcome: Succeeded}
	if head.kind == typeStatus {
		if result.Status = Status(field); result.Status != StatusOK {
			result.Outcome = Failed
		}
	}
	var whole []byte
	if head.kind == typeHandle || head.kind == typeExtendedReply && o.extension == extLimits {
		var err error
		if whole, err = s.fromTarget.whole(head.size); err != nil {
			return err
		}
	}
	s.hold()
	switch f := o.file; o.kind {
	case typeOpen, typeOpendir:
		return s.opened(o, whole, result)
	case typeWrite:
		if result.Status == StatusOK {
			f.bytesWritten += int64(o.length)
		}
	case typeReaddir:
		if head.kind == typeName {
			f.entries += int64(field)
		}
	case typeExtended:
		if whole != nil {
			if err := narrowLimits(whole, s.config.MaxHandles); err != nil {
				return err
			}
		}
	}
	s.complete(o, result)
	return nil
}

// opened takes the answer to an OPEN or OPENDIR: the whole packet that holds a handle, or
// nil with a result that says why there is none.
func (s *session) opened(o *owed, packet []byte, result Result) error {
	f := o.file
	if packet != nil {
		f.handle = string(packet[headSize+4:])
	}
	s.mu.Lock()
	s.files.opening--
	_, isTwice := s.files.byHandle[f.handle]
	if packet != nil && !isTwice {
		s.files.byHandle[f.handle] = f
	}
	s.mu.Unlock()
	switch {
	case packet == nil:
		f.done = true
		if result.Status == StatusOK {
			result.Outcome = Unknown // neither a handle nor an error
		}
		f.permit.Done(result)
	case isTwice:
		f.done = true
		f.permit.Done(Result{Outcome: Unknown})
		return fmt.Errorf("%w: a handle that is already open", ErrTarget)
	}
	s.complete(o, result)
	return nil
}

// complete takes a request out that is answered, and ends the operations that end with it.
func (s *session) complete(o *owed, result Result) {
	f, permit := o.file, o.permit
	ended := false
	s.mu.Lock()
	if f != nil {
		f.busy--
		switch o.kind {
		case typeRead, typeWrite, typeReaddir, typeClose:
			f.note(result.Status)
		}
		if o.kind == typeClose {
			f.closeAnswered = true
			delete(s.files.closing, f)
		}
		ended = f.closeAnswered && f.busy == 0
	}
	var other *file
	if o.other != nil {
		o.other.busy--
		if o.other.closeAnswered && o.other.busy == 0 {
			other = o.other
		}
	}
	s.owed.remove(o)
	s.owed.recycle(o)
	s.mu.Unlock()
	s.wake()
	if permit != nil {
		permit.Done(result)
	}
	if ended {
		s.finish(f, Succeeded)
	}
	if other != nil {
		s.finish(other, Succeeded)
	}
}
