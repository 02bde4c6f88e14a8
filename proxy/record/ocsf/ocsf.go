// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ocsf writes records in the form of the Open Cybersecurity Schema
// Framework, and finds the records again in what it wrote. docs/ocsf.md has the
// mapping; the folder schema has the JSON Schemas of what is written.
//
// Each event holds the record itself, byte for byte, so that files of events
// can be verified as those of records are. The package is pure.
package ocsf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/doorward/doorward/proxy/record"
)

// Version is the version of OCSF that events are written in.
const Version = "1.8.0"

// ErrNoRecord is wrapped by the errors for what does not hold a record.
var ErrNoRecord = errors.New("no record in the event")

// Encode appends a record as an OCSF event, one line of JSON without its line
// feed. It has the form of a sink's Encoder. The event does not say which
// version of Doorward wrote it; that of Encoder does.
//
// A record of a type that this package does not know becomes a Base Event. An
// error means that the bytes are no record.
func Encode(dst []byte, r record.Record) ([]byte, error) { return encode(dst, r, "") }

// Encoder returns an Encode whose events name the version of the product.
func Encoder(version string) func(dst []byte, r record.Record) ([]byte, error) {
	return func(dst []byte, r record.Record) ([]byte, error) { return encode(dst, r, version) }
}

// Raw returns the record that an event holds, byte for byte.
func Raw(data []byte) ([]byte, error) {
	var e struct {
		RawData *string `json:"raw_data"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRecord, err)
	}
	if e.RawData == nil {
		return nil, fmt.Errorf("%w: raw_data is missing", ErrNoRecord)
	}
	raw := []byte(*e.RawData)
	if _, err := record.Head(raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRecord, err)
	}
	return raw, nil
}

func encode(dst []byte, r record.Record, version string) ([]byte, error) {
	d, err := record.Decode(r.JSON)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(r.JSON) {
		// JSON could hold it only changed.
		return nil, fmt.Errorf("%w: not UTF-8", record.ErrMalformed)
	}
	buffer := bytes.NewBuffer(dst)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	e := newEvent(&d, version)
	e.RawData = string(r.JSON)
	if err := encoder.Encode(e); err != nil {
		return nil, fmt.Errorf("record cannot be written as OCSF: %w", err)
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}
