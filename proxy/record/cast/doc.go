// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cast writes recordings of terminals as asciicast version 2
// (https://docs.asciinema.org/manual/asciicast/v2/) in parts that are records
// of a log, and puts them together again.
//
// A recording is a header line and one line for each event:
//
//	{"version":2,"width":80,"height":24,"timestamp":1772600767}
//	[0.248848,"o","\u001b[1mhello"]
//	[1.001376,"i","\r"]
//	[2.143733,"r","100x50"]
//
// "o" is what the terminal showed, "i" what was typed, "r" its new size; the
// first element is the time in seconds since the beginning. Everything is
// printable ASCII. Bytes that are not UTF-8 become U+FFFD, and a character that
// comes in two writes is put together first, both as asciinema itself does.
//
// A part holds whole lines, so that each can be read by itself.
package cast

// Format is what a record calls these recordings.
const Format = "asciicast/v2"
