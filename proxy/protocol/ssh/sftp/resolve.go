// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
)

// firstOwn is the first id that the relay tries for its own questions.
const firstOwn = 0x44570000

// unresolved is why a path could not be resolved, in the target's words.
type unresolved struct {
	status  Status
	message string
}

func (u *unresolved) Error() string { return u.message }

// resolve returns the paths of a request as the target says that they lead. An error that
// is an *unresolved one says that the target could not say.
func (s *session) resolve(ctx context.Context, r *request) ([2]string, error) {
	paths := r.lexical(s.home)
	// The target may work on several requests at once: what changes names is over first.
	if err := s.await(ctx, func() bool { return s.owed.renames == 0 }); err != nil {
		return paths, err
	}
	for i, asked := range r.paths[:r.pathCount()] {
		if r.kind == typeSymlink && i == 0 {
			continue // what a link points to is looked for when it is used
		}
		var resolved string
		var err error
		if r.is(extExpandPath) {
			resolved, err = s.ask(ctx, func(id uint32) []byte { return expandPacket(id, asked) })
		} else {
			resolved, err = s.leadsTo(ctx, asked, r.follows())
		}
		if err == nil && r.is(extHardlink) && i == 0 {
			err = s.noLink(ctx, asked, resolved)
		}
		if err != nil {
			return paths, err
		}
		paths[i] = resolved
	}
	if r.kind == typeSymlink {
		paths[0] = absolute(path.Dir(paths[1]), r.paths[0])
	}
	return paths, nil
}

// moved says whether the paths of a request no longer lead where they did.
func (s *session) moved(ctx context.Context, r *request, paths [2]string) (bool, error) {
	now, err := s.resolve(ctx, r)
	if failed := (*unresolved)(nil); errors.As(err, &failed) {
		return true, nil
	}
	return now != paths, err
}

// noLink refuses to make a hard link to a symbolic one: systems differ in whether that is
// one to what it points to.
func (s *session) noLink(ctx context.Context, asked, resolved string) error {
	followed, err := s.leadsTo(ctx, asked, true)
	if err == nil && followed != resolved {
		err = &unresolved{StatusPermissionDenied, fmt.Sprintf("%q is a symbolic link, to which no hard link is made; name what it points to", asked)}
	}
	return err
}

// leadsTo asks the target where one path leads.
func (s *session) leadsTo(ctx context.Context, asked string, follow bool) (string, error) {
	if asked == "" {
		asked = "."
	}
	parent, name, named := split(asked)
	if follow || !named {
		resolved, err := s.realpath(ctx, asked)
		failed := (*unresolved)(nil)
		if follow || !errors.As(err, &failed) {
			return resolved, err
		}
		// What does not exist may be made by a name with a slash at its end.
		if parent, name, named = split(strings.TrimRight(asked, "/")); !named {
			return resolved, err
		}
	}
	directory, err := s.realpath(ctx, parent)
	if err != nil {
		return "", err
	}
	return join(directory, name), nil
}

func (s *session) realpath(ctx context.Context, asked string) (string, error) {
	return s.ask(ctx, func(id uint32) []byte { return realpathPacket(id, asked) })
}

// ask asks the target a question that is answered with one path, and waits. Nothing else is
// forwarded meanwhile, so an id that is free stays free.
func (s *session) ask(ctx context.Context, question func(id uint32) []byte) (string, error) {
	s.mu.Lock()
	o := s.owed.take()
	o.kind, o.own, o.id = typeRealpath, true, firstOwn
	for s.owed.byID[o.id] != nil {
		o.id++
	}
	id := o.id
	s.reply = nil
	s.mu.Unlock()
	if err := s.owe(ctx, o, nil); err != nil {
		return "", err
	}
	if err := s.fromClient.flush(); err != nil {
		return "", err
	}
	if err := s.toTarget(question(id)); err != nil {
		return "", err
	}
	var got *reply
	err := s.await(ctx, func() bool {
		got = s.reply
		return got != nil
	})
	switch {
	case err != nil:
		return "", err
	case got.status != StatusOK:
		return "", &unresolved{got.status, neutral(got.message)}
	}
	return got.path, nil
}

// decodeReply reads the whole answer to a REALPATH.
func decodeReply(packet []byte) (*reply, error) {
	head, err := decodeHead(packet)
	if err != nil {
		return nil, err
	}
	c := &cursor{rest: packet[headSize:]}
	switch head.kind {
	case typeStatus:
		r := &reply{status: Status(c.uint32())}
		if len(c.rest) > 0 {
			r.message = string(c.bytes(maxWhole, "a message"))
		}
		if c.err == nil && r.status == StatusOK {
			c.fail("a status without an error where a path was asked for")
		}
		return r, c.err
	case typeName:
		if n := c.uint32(); n != 1 {
			c.fail("%d names where one was asked for", n)
		}
		named := c.path()
		if c.err == nil && !strings.HasPrefix(named, "/") {
			c.fail("the path %q is not absolute", named)
		}
		return &reply{path: path.Clean(named)}, c.err
	}
	return nil, fmt.Errorf("%w: an answer of type %d to REALPATH", errMalformed, head.kind)
}
