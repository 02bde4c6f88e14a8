// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sftp relays one SFTP subsystem channel, protocol version 3
// (draft-ietf-secsh-filexfer-02) with the extensions of OpenSSH's PROTOCOL file,
// between a client and a target. Every request is decided before the target sees it,
// every file operation has its result told, and what is allowed passes as the bytes
// that came, under the ids that the client chose.
//
// Two pumps run a session. The requests pump reads the client, decides and forwards; the
// answers pump reads the target, checks that each answer is one to its request, and
// returns it. They share the requests that the target owes an answer for and the files
// that are open. A refused request is answered by the relay when every request before it
// has been answered, so that a client which counts on the order is not confused. Payload
// is written from the buffer into which it was read. Neither pump reads on while it cannot
// write, and requests wait while too many are unanswered, so each side slows the other.
//
// # Handles
//
// What may be done with a handle was decided when it was opened: READ, WRITE, READDIR,
// FSTAT, fsync and fstatvfs are part of that operation, within the rights that it was
// decided with, and refused on a handle that the target did not give or that was closed.
// An OPEN without READ and WRITE is one for reading, and one that creates or truncates is
// one for writing, as servers have it. FSETSTAT and copy-data are operations of their
// own, on the paths that the handles were opened by: chmod works on a handle for reading,
// and a rule against setstat must not be got round by opening first. The operation of an
// OPEN is done when its CLOSE is answered, or the session is over.
//
// # Paths
//
// Decisions are about absolute paths as the target names them. The relay asks the target
// for its working directory before the client may ask for anything, and makes relative
// paths absolute by it.
//
// By default paths are cleaned by their text: "." and doubled slashes go, ".." takes the
// name before it away. That is what a file system does where no name on the way is a
// symbolic link, and it is all that is promised: behind a link, or ".." after one, the
// target uses another file than the one decided on. Links that a client makes are decided
// with what they point to, which keeps the honest from mistakes and nobody else from
// making one link out of two.
//
// With [Config.Resolve] the relay first asks the target by REALPATH where a path leads:
// the whole of it where the request follows a link at its end, else of its parent. It
// waits until all forwarded requests that may change names are answered, asks, decides on
// what the target says, and forwards the request as it came. Where the decision waited for
// somebody, it asks once more before, and refuses what leads elsewhere by then. Systems differ in what a hard
// link to a symbolic one is, so none is made. Three things remain. Between the answer and
// the request, somebody else with access to the target, another session of the same client
// among them, can put a link where a directory was: the decision is about the path as it
// was a moment before. Where that may not be, the account at the target must not be able to
// write to the directories on the way. A target whose REALPATH only cleans text, as those
// of servers other than OpenSSH's may, promises no more than the default; through one whose
// REALPATH fails for what does not exist, no file can be created. And whether the parent of
// a path exists can be learnt, since the target's error is passed on.
//
// In both, a rename moves everything below it, a hard link gives a file another name, and
// a mount or a case-insensitive file system one file many: rules about paths hold for
// names. So the accesses of renames and links name the reading and writing of what they
// are about as indirect ones, for which rules that deny hold.
//
// # Digests
//
// What is read from and written to a file is counted, and its SHA-256 taken, where it goes
// through in sequence: from the offset of the first request onwards, each byte once. What
// comes out of order is held for its turn, within a bound. Where a digest would not be
// that of what was transferred, the result says why there is none.
package sftp
