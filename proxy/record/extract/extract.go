// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package extract is one session's records taken out of a log, so that they can be
// verified without the records of others: those are there as hashes only.
//
// # Form
//
// Lines of JSON. The first is a [Head]. Each further line is a record as it was written,
// or [Between]: the subtrees that all other records up to the next line make up. The
// records are the session's, in order; the last line is the Checkpoint record whose
// signed note covers them all. So readers of records, which pass over lines that are
// none, can read an extract as it is.
//
// Of a session that is followed while it goes on, records and [Between] come after a
// checkpoint again, up to the next, which covers everything before it in turn. An empty
// line says only that there is nothing yet.
//
// # What it proves
//
// Everything together makes the tree (RFC 6962, section 2.1) whose root the log's key
// has signed: each record is, byte by byte, what the log had at its place when the
// checkpoint was made. It does not prove that the session has no further records: one
// that was left out would be a hash among others. Nor does it exclude, as no log by
// itself does, that this is an older state of the log or one of two histories.
package extract

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/doorward/doorward/proxy/record/tree"
)

// Schema is what the lines that are no records say of themselves.
const Schema = "doorward.dev/extract/v1"

// MediaType is that of an extract.
const MediaType = "application/x-ndjson"

// Head is the first line: whose records follow, and the log's keys up to now.
type Head struct {
	Schema  string `json:"schema"`
	Log     string `json:"log"`
	Session string `json:"session"`
	// Key is the log's first key, a note verifier, which the log's id certifies;
	// Rotations are the signed notes that introduced the others.
	Key       string   `json:"key"`
	Rotations []string `json:"rotations,omitempty"`
}

// Between stands for records that are not the session's.
type Between struct {
	Schema string      `json:"schema"`
	Leaves *tree.Range `json:"leaves"`
}

// Writer writes an extract. Its methods are called in the order of the log.
type Writer struct {
	out io.Writer
	// gap is what no line stands for yet.
	gap tree.Range
}

// NewWriter writes the head.
func NewWriter(out io.Writer, session string, keys *tree.Keys) (*Writer, error) {
	w := &Writer{out: out, gap: tree.NewRange(0)}
	err := w.write(Head{Schema: Schema, Log: keys.LogID(), Session: session, Key: keys.First(), Rotations: keys.Rotations()})
	return w, err
}

func (w *Writer) write(line any) error {
	data, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("cannot encode a line of an extract: %w", err)
	}
	return w.line(data)
}

func (w *Writer) line(data []byte) error {
	_, err := w.out.Write(append(data[:len(data):len(data)], '\n'))
	return err
}

// Pass has records follow that are not the session's.
func (w *Writer) Pass(leaves *tree.Range) error { return w.gap.Merge(leaves) }

// PassOne has one such record follow.
func (w *Writer) PassOne(leaf tree.Hash) { w.gap.Append(leaf) }

// Next is the index of the record that follows.
func (w *Writer) Next() int64 { return w.gap.End() }

// Record has a record of the session follow.
func (w *Writer) Record(data []byte) error {
	if err := w.flush(); err != nil {
		return err
	}
	w.gap.Reset(w.gap.End() + 1)
	return w.line(data)
}

// Close ends the extract with the record of a checkpoint of all that was before.
func (w *Writer) Close(checkpoint []byte) error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.line(checkpoint)
}

// Checkpoint has the record of a checkpoint of all that was before follow. More may come.
func (w *Writer) Checkpoint(checkpoint []byte) error {
	if err := w.Close(checkpoint); err != nil {
		return err
	}
	w.gap.Reset(w.gap.End())
	return nil
}

// Beat writes an empty line. It is for extracts that are followed.
func (w *Writer) Beat() error { return w.line(nil) }

func (w *Writer) flush() error {
	if w.gap.Begin() == w.gap.End() {
		return nil
	}
	return w.write(Between{Schema: Schema, Leaves: &w.gap})
}
