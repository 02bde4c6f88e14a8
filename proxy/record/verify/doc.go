// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verify tells whether a copy of a record log is what its proxy wrote,
// and names the first record that is not. It needs the files only.
//
// # What is checked
//
// The log's id is the hash of its first key; each further key is introduced by
// the one before it. Records are taken from all sources together, in whatever
// order the files are given, and put in order by their index. Checked are: that
// no index is missing; that what was found twice is the same; that each record
// holds the hash of the one before it; that the root and the tail of every
// checkpoint, signed by the key of its time, are those of the records; that
// trusted checkpoints agree; that records stand in order in each file, and in
// the file that its name says.
//
// # What decides a verdict
//
// From the tail that a checkpoint signs, the chain leads back record by record,
// and the signed root proves what was put together so.
//
//   - [Edited]: a record has not the hash that the chain and the root say. Where
//     the chain was rewritten as well, the hash of the record can no longer be
//     known, and the finding names all records since the last checkpoint that
//     holds. Also: of two different records of one index, the one that belongs
//     to no signed history while the other does.
//   - [Reordered]: the record that must stand at an index stands at another, be
//     it renumbered or not; or a file has its records in another order.
//   - [Missing]: an index without a record, while later ones are there.
//   - [Truncated]: a trusted checkpoint, or a reader's cursor in the log's own
//     directory, knows of more records than there are.
//   - [RolledBack]: the same, but what stands there says itself that it ends where
//     it ends: its last record is the checkpoint of an orderly end, or a cursor
//     in the log's directory stands between the last checkpoint that holds and
//     the end, and none beyond the end. A bare beginning of a log without such
//     evidence is called truncated.
//   - [Forked]: a checkpoint of the log, properly signed, has another root than the
//     records at its size, while the records' own later checkpoints hold; or two
//     histories are both there and both signed, or neither is; or the witness
//     says so. Where both are there, the record at which they part is named.
//   - [BadSignature]: a checkpoint or key rotation not signed by the log's key of
//     its time, in a record that is not known to be changed.
//   - [Unsigned]: no checkpoint covers any record, so nothing is proven.
//   - [Unreadable]: bytes that cannot be read.
//
// Without a trusted checkpoint nothing can be said of records cut off the end,
// of an older state in the place of a newer one, and of another history signed
// with the log's own key.
//
// Memory does not grow with the log: what is needed of each record is sorted in
// temporary files.
package verify
