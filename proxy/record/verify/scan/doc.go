// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scan finds records wherever they ended up: in a log's own directory
// or a copy of it, in files of JSON lines, plain or compressed with gzip, and
// in lines of other forms that carry the record as text.
//
// A directory with segments ("<20 digits>.log") is read as a log's directory,
// of which the files that package spool names are left out; every other file is
// read line by line, whatever its name. Of a line it takes
//
//  1. the line itself, where it begins as a record does;
//  2. else, of a line that is JSON, each string in it that is a record, such as
//     raw_data of OCSF and body.stringValue of OTLP;
//  3. else what begins with {"schema":"doorward.dev/record/, up to where that
//     value ends, as behind the header of a syslog line.
//
// Nothing is written, nothing is kept in memory, and symbolic links inside
// directories are not followed but are a Problem, as they may stand for records.
package scan
