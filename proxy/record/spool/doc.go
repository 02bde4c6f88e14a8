// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package spool is the write-ahead log of records: an append-only record.Log
// in a directory of segment files.
//
// # Directory
//
//	lock               held (flock) by the one process that has the log open
//	key                the log's ed25519 note key, mode 0600; the first makes the log id
//	keys               the public keys up to now, and the notes that introduced them
//	key.next           the key that is being rotated to
//	witness            the tree of the records that the witness has acknowledged
//	<index>.log        a segment; the name is the index of its first record, 20 digits
//	<index>.open       sessions and operations that were under way where the segment begins,
//	                   and the tree of the records before it, as [tree.Range]
//	next-*.tmp         a segment being made ahead
//	cursors/<sink>     the index up to which a sink has acknowledged
//	state              small durable values of the caller, see [State]
//
// # Segment
//
// A segment is a sequence of frames, then zeros:
//
//	length  uint32, little endian: bytes 0 to 30 the payload's size, bit 31 set
//	        on the first frame of each group that was synced as one
//	crc     uint32, little endian: CRC-32C of the length word and the payload
//	payload the record's JSON, exactly the leaf of the log's tree
//	        (golang.org/x/mod/sumdb/tlog); leaf number = record index, from 0
//
// A group is written only after the one before it is on disk. So a frame that
// cannot be read is a torn tail, never acknowledged, where no later group
// follows; it is damage where one does.
//
// # Tree
//
// The writer adds each record's hash to one compact range; the tree of all
// records is made of it where a segment or a checkpoint begins. A goroutine of
// the log signs a snapshot of what is on disk and queues it as a Checkpoint
// record, so that nobody waits for a signature.
//
// # Memory
//
// Groups are made in chunks of memory that are only ever added to. Readers get
// records from there as long as they keep up, and from the segments otherwise.
//
// # Durability
//
// Append returns nil after fdatasync of a group that holds the record. Where the
// file system can, groups are written past the page cache, from the beginning
// of the block that the last one ended in: readers through the page cache see
// what is on disk (open(2), O_DIRECT), and a crash finds what it would find
// without. All
// space is allocated, zeroed and synced before a record is accepted for it, so
// that a full disk is met before acceptance and fdatasync has no metadata to
// write. After an error of write or fdatasync the log is broken for good: what
// the kernel then holds is unknown, and only opening it again, which reads what
// is really there, can tell.
package spool
