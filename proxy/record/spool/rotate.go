// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// Rotate makes the log's next key: a KeyRotated record, which the key in force
// signs, introduces it, and all checkpoints that cover this record are signed
// by the next key. The log's id stays.
//
// Each step is on disk before the next begins: the next key in key.next, the
// record, the new list keys, key.next renamed to key. Open goes on where a
// crash cut it short: the record decides whether the key was rotated. After an
// error that wraps ErrBroken it is the next Open that knows; after any other
// the key is as it was.
func (l *Log) Rotate(ctx context.Context) error {
	l.keyring.mu.Lock()
	defer l.keyring.mu.Unlock()
	dir := l.options.Dir
	next, err := newKey(l.identity.id)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, nextKeyFile)
	if err := writeFile(path, next.text); err != nil {
		return fmt.Errorf("cannot rotate the log's key: %w", err)
	}
	l.stepped("next key written")
	var signed string
	event := record.Event{Type: record.KeyRotated}
	place := func(body []byte, index int64) ([]byte, error) {
		rotation := tree.KeyRotation{LogID: l.identity.id, Index: index, Next: next.verifier}
		var err error
		if signed, err = rotation.Sign(l.keyring.signer); err != nil {
			return body, err
		}
		whole := event
		whole.Rotation = &record.KeyRotation{Key: next.verifier, Note: signed}
		return record.AppendBody(body, &whole), nil
	}
	e, err := l.enqueue(ctx, &event, manner{waited: true, reserve: l.reserve(), place: place})
	if err != nil {
		return errors.Join(fmt.Errorf("cannot rotate the log's key: %w", err), os.Remove(path))
	}
	// From here on only the disk knows, so nothing is given up half-way.
	p := pending{log: l, entry: e}
	if _, err := p.Wait(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("cannot rotate the log's key: %w", err)
	}
	l.stepped("record written")
	id := identity{id: l.identity.id, key: next, keys: l.keyring.keys.Clone(), since: l.options.Now()}
	if err := id.follow(dir, signed, l.stepped); err != nil {
		return l.fail(fmt.Errorf("cannot rotate the log's key: %w", err))
	}
	l.keyring.signer, l.keyring.keys, l.keyring.since = next.signer, id.keys, id.since
	return nil
}

func (l *Log) stepped(name string) {
	if l.options.step != nil {
		l.options.step(name)
	}
}

// follow takes the steps after the record.
func (id *identity) follow(dir, rotation string, stepped func(string)) error {
	if err := id.keys.Follow(rotation); err != nil {
		return err
	}
	if err := id.write(dir); err != nil {
		return err
	}
	stepped("list written")
	if err := renameKey(dir); err != nil {
		return err
	}
	stepped("key renamed")
	return nil
}

func renameKey(dir string) error {
	if err := os.Rename(filepath.Join(dir, nextKeyFile), filepath.Join(dir, keyFile)); err != nil {
		return err
	}
	return syncDir(dir)
}

// rotation is a KeyRotated record that was read.
type rotation struct {
	index     int64
	key, note string
}

// openKeys takes the identity's keys into use, after it has finished or undone
// a rotation that was cut short. found are those of the segments that were read.
func (l *Log) openKeys(found []rotation) error {
	id := &l.identity
	path := filepath.Join(l.options.Dir, nextKeyFile)
	next, made, err := readKey(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if found, err = l.findRotation(found, next.verifier); err != nil {
			return err
		}
	}
	hasNext := err == nil
	recorded := false
	for _, r := range found {
		if r.index <= id.keys.Since() {
			continue
		}
		if !hasNext || r.key != next.verifier || recorded {
			return fmt.Errorf("%w: record %d rotated the log's key, and neither %q nor %q in %q is the key it names: restore the key",
				ErrCorrupt, r.index, keyFile, nextKeyFile, l.options.Dir)
		}
		recorded = true
		id.key, id.since = next, made
		if err := id.follow(l.options.Dir, r.note, l.stepped); err != nil {
			return fmt.Errorf("%w: record %d rotated the log's key: %w", ErrCorrupt, r.index, err)
		}
		if id.keys.Since() != r.index {
			return fmt.Errorf("%w: record %d rotates the log's key, and says that it is record %d", ErrCorrupt, r.index, id.keys.Since())
		}
	}
	if hasNext && !recorded {
		// The crash came before the record, so nobody has seen this key.
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	l.keyring.signer, l.keyring.keys, l.keyring.since = id.key.signer, id.keys, id.since
	return nil
}

// findRotation looks for the record that introduced a key, where it is not
// among those found, also in the segments that were not read.
func (l *Log) findRotation(found []rotation, key string) ([]rotation, error) {
	for _, r := range found {
		if r.key == key {
			return found, nil
		}
	}
	var all []rotation
	for r, err := range Records(l.options.Dir) {
		if errors.Is(err, ErrTorn) {
			break
		}
		if err != nil {
			return nil, err
		}
		if !hasType(r.JSON, record.KeyRotated) {
			continue
		}
		one, err := readRotation(r)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func readRotation(r record.Record) (rotation, error) {
	d, err := record.Decode(r.JSON)
	if err != nil {
		return rotation{}, err
	}
	if d.Rotation == nil {
		return rotation{}, fmt.Errorf("%w: record %d has type %q and no rotation", ErrCorrupt, d.Index, d.Type)
	}
	return rotation{index: d.Index, key: d.Rotation.Key, note: d.Rotation.Note}, nil
}

// rotateWhereOld replaces a key that has reached its greatest age.
func (l *Log) rotateWhereOld(ctx context.Context) error {
	most := l.options.KeyMaxAge
	if most == 0 || l.options.Now().Sub(l.keyring.since) < most {
		return nil
	}
	return l.Rotate(ctx)
}
