// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"

	"github.com/doorward/doorward/proxy/policy"
)

// Road decides operations and has them recorded. The relay calls it from one goroutine.
type Road interface {
	// Decide decides one operation and puts the decision on record before it returns; it
	// may take as long as an approval does, while the answers to what was forwarded before
	// go on. Only a nil error lets the operation through, and then Done must be called. An
	// error that is a *Denied is answered to the client, any other ends the session.
	// Decide ends when ctx does: whoever runs the relay ends it when the client leaves.
	Decide(ctx context.Context, op *Operation) (Permit, error)
}

// Permit lets one operation through. Its methods are called from any goroutine.
type Permit interface {
	// Durable returns once the decision's record can no longer be lost. It is called before
	// any byte of the operation's answer goes to the client; an error ends the session.
	Durable(ctx context.Context) error
	// Take counts what of an open file or directory is about to go to the client, names of a
	// listing and bytes of content, against what the caller may get. An error that is a
	// *Denied is answered in their place, any other ends the session. One goroutine calls it.
	Take(names, bytes int64) error
	// Done puts the result on record. It is called once, and does not block.
	Done(result Result)
}

// Denied is a Decide's error after which the session goes on. Message goes to the client
// with control characters made visible: what was refused and what to do next.
type Denied struct{ Message string }

// Error is the message.
func (d *Denied) Error() string { return d.Message }

// Operation is one thing that the client asks of the target.
type Operation struct {
	// Kind is the request's name, as sftp-server(8) has it for its options -P and -p; of
	// what is not known, "unknown", of what breaks the protocol, "malformed".
	Kind string
	// Statement is the request as text, with absolute paths, and the paths as they were
	// asked for where these are others. Paths are quoted as Go has it. It leaves nothing out
	// but which numbers users-groups-by-id asks about.
	Statement string
	// Accesses and Properties are what policies decide on, sorted and without duplicates.
	Accesses   []policy.Access
	Properties []string
	// Resolved says that the target was asked where the paths lead.
	Resolved bool
	// Held is set by Decide where the decision waited for somebody: links may be others since.
	Held bool
	// ReadOnly says that the operation changes nothing at the target.
	ReadOnly bool
	// Refuse, where set, is why it is never forwarded; Decide puts that on record, and the
	// client is answered with it.
	Refuse *Refusal
}

// Refusal is the relay's own reason to refuse.
type Refusal struct {
	Status  Status
	Message string
}

// Error is the message.
func (r *Refusal) Error() string { return r.Message }

// The outcomes of a Result.
const (
	Succeeded = "Succeeded"
	Failed    = "Failed"
	Canceled  = "Canceled"
	Unknown   = "Unknown"
)

// Result is what came of an operation that was forwarded.
type Result struct {
	// Outcome is Succeeded, Failed, Canceled where it was decided and then not forwarded,
	// or Unknown where the session ended before the target said.
	Outcome string
	// Status is the target's first refusal, of an open file also that of a READ, a WRITE or
	// its CLOSE.
	Status Status
	// Read and Written are what went through an open file.
	Read, Written Transfer
	// Entries is the number of names that a directory was listed with.
	Entries int64
	// Unclosed says of an open file or directory that the session ended before its CLOSE.
	Unclosed bool
}

// Transfer is what went through an open file in one direction.
type Transfer struct {
	// Bytes were returned by the target, or written and acknowledged by it.
	Bytes int64
	// Offset is that of the first request, from which on Digest is taken. Where a file is
	// open for appending, it is what the client says, and servers write at the end.
	Offset uint64
	// Digest is the SHA-256 of the Bytes bytes from Offset on, "sha256:<hex>"; empty where
	// nothing was asked for, or for the reason that Undigested says.
	Digest     string
	Undigested string
}

// The actions of an Access. Unless said otherwise, the resource is a path.
const (
	// ActionRead is opening a file for reading, ActionWrite for writing, also where that
	// creates or truncates it, or setting its size.
	ActionRead  = "read"
	ActionWrite = "write"
	// ActionList is reading a directory, ActionStat the attributes of a file or of its file
	// system, ActionReadlink where a link points.
	ActionList     = "list"
	ActionStat     = "stat"
	ActionReadlink = "readlink"
	// ActionSetstat is setting attributes.
	ActionSetstat = "setstat"
	ActionRemove  = "remove"
	ActionMkdir   = "mkdir"
	ActionRmdir   = "rmdir"
	// ActionRename, ActionLink and ActionSymlink are about both of their paths: a symbolic
	// link is decided with what it points to.
	ActionRename  = "rename"
	ActionLink    = "link"
	ActionSymlink = "symlink"
	// ActionRealpath is asking where a path leads.
	ActionRealpath = "realpath"
	// ActionHome is asking for the home directory of a user, who is the resource; empty for
	// that of the session. ActionUsers is asking for the names of users and groups,
	// ActionLimits for the server's limits; both have no resource.
	ActionHome   = "home-directory"
	ActionUsers  = "users-groups-by-id"
	ActionLimits = "limits"
)

// The properties of an Operation.
const (
	PropertyAppend      = "append"
	PropertyCreate      = "create"
	PropertyExclusive   = "exclusive"
	PropertyTruncate    = "truncate"
	PropertyOwner       = "owner"
	PropertyPermissions = "permissions"
	PropertySetID       = "setid"
	PropertySize        = "size"
	PropertyTimes       = "times"
)

// Actions and Properties are these with their meaning, for a vocabulary.
var (
	Actions = []policy.Term{
		{Name: ActionRead, Doc: "open a file for reading"},
		{Name: ActionWrite, Doc: "open a file for writing, which may create or truncate it, or set its size"},
		{Name: ActionList, Doc: "list a directory"},
		{Name: ActionStat, Doc: "see the attributes of a file or of its file system"},
		{Name: ActionReadlink, Doc: "see where a symbolic link points"},
		{Name: ActionSetstat, Doc: "set the attributes of a file"},
		{Name: ActionRemove, Doc: "remove a file"},
		{Name: ActionMkdir, Doc: "make a directory"},
		{Name: ActionRmdir, Doc: "remove a directory"},
		{Name: ActionRename, Doc: "rename a file or directory; both paths must be allowed"},
		{Name: ActionLink, Doc: "make a hard link; both paths must be allowed"},
		{Name: ActionSymlink, Doc: "make a symbolic link; both the link and what it points to must be allowed"},
		{Name: ActionRealpath, Doc: "ask where a path leads, as every client does at the start"},
		{Name: ActionHome, Doc: "ask for the home directory of a user"},
		{Name: ActionUsers, Doc: "ask for the names of users and groups"},
		{Name: ActionLimits, Doc: "ask for the server's limits"},
	}
	Properties = []policy.Term{
		{Name: PropertyAppend, Doc: "opened for appending"},
		{Name: PropertyCreate, Doc: "opened so that it is created where it does not exist"},
		{Name: PropertyExclusive, Doc: "opened only if it does not exist"},
		{Name: PropertyTruncate, Doc: "opened so that it is emptied"},
		{Name: PropertyOwner, Doc: "sets owner and group"},
		{Name: PropertyPermissions, Doc: "sets permissions"},
		{Name: PropertySetID, Doc: "sets permissions with the set-user-ID or set-group-ID bit"},
		{Name: PropertySize, Doc: "sets the size"},
		{Name: PropertyTimes, Doc: "sets the times of access and modification"},
	}
)
