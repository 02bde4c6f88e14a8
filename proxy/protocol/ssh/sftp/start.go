// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"errors"
	"fmt"
	"io"
)

// start exchanges versions and asks the target for its working directory, before the
// client may ask for anything: the client is answered last.
func (s *session) start() error {
	if err := s.greet(); err != nil {
		return err
	}
	known, err := s.greeted()
	if err != nil {
		return err
	}
	if s.home, err = s.workingDirectory(); err != nil {
		return err
	}
	return s.toClient(versionPacket(known))
}

// greet takes the client's INIT, whose extensions are the relay's to answer for, and sends
// one of version 3 to the target.
func (s *session) greet() error {
	packet, head, err := s.fromClient.packet()
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: it left before its first packet", ErrClient)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrClient, err)
	case head.kind != typeInit:
		return fmt.Errorf("%w: its first packet has type %d, not INIT", ErrClient, head.kind)
	}
	asked, _, err := decodeVersion(packet)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrClient, err)
	}
	if asked < version {
		return fmt.Errorf("%w: it speaks version %d at most; use one that speaks version %d", ErrClient, asked, version)
	}
	if err := s.fromClient.drop(head.size); err != nil {
		return err
	}
	return s.toTarget(closePacket(appendPacket(nil, typeInit, version)))
}

// greeted takes the target's VERSION and returns the extensions that the client may use.
func (s *session) greeted() ([]extension, error) {
	packet, head, err := s.fromTarget.packet()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: is an sftp subsystem configured in its sshd_config?", errTargetLeft)
	case err != nil, head.kind != typeVersion:
		return nil, fmt.Errorf("%w: its first packet is no VERSION; see that the account's shell prints nothing when it starts", ErrTarget)
	}
	spoken, known, err := decodeVersion(packet)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTarget, err)
	}
	if spoken != version {
		return nil, fmt.Errorf("%w: it answers version %d where %d was asked for", ErrTarget, spoken, version)
	}
	return known, s.fromTarget.drop(head.size)
}

// workingDirectory asks the target where relative paths begin.
func (s *session) workingDirectory() (string, error) {
	const id = 1 // no other request is under way
	if err := s.toTarget(realpathPacket(id, ".")); err != nil {
		return "", err
	}
	packet, head, err := s.fromTarget.packet()
	if err != nil {
		return "", fmt.Errorf("%w: no answer to REALPATH: %w", ErrTarget, err)
	}
	if head.id != id {
		return "", fmt.Errorf("%w: an answer to request %d, which was not sent", ErrTarget, head.id)
	}
	answer, err := decodeReply(packet)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrTarget, err)
	}
	if answer.status != StatusOK {
		return "", fmt.Errorf("the target does not say what its working directory is: %s: %s", answer.status, neutral(answer.message))
	}
	return answer.path, s.fromTarget.drop(head.size)
}

// packet waits for the next packet, whole.
func (s *stream) packet() ([]byte, packetHead, error) {
	head, err := s.next()
	if err != nil {
		return nil, head, err
	}
	packet, err := s.whole(head.size)
	return packet, head, err
}
