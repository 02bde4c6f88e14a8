// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
)

// kinds are the names of requests.
var kinds = [...]string{
	typeOpen: "open", typeClose: "close", typeRead: "read", typeWrite: "write", typeLstat: "lstat", typeFstat: "fstat",
	typeSetstat: "setstat", typeFsetstat: "fsetstat", typeOpendir: "opendir", typeReaddir: "readdir", typeRemove: "remove",
	typeMkdir: "mkdir", typeRmdir: "rmdir", typeRealpath: "realpath", typeStat: "stat", typeRename: "rename",
	typeReadlink: "readlink", typeSymlink: "symlink",
}

// name is the request's name.
func (r *request) name() string {
	switch {
	case r.kind == typeExtended && r.extension >= 0:
		name, _, _ := strings.Cut(extensions[r.extension].name, "@")
		return name
	case int(r.kind) < len(kinds) && kinds[r.kind] != "":
		return kinds[r.kind]
	}
	return "unknown"
}

// is says whether the request is one extension.
func (r *request) is(extension int) bool { return r.kind == typeExtended && r.extension == extension }

// pathCount is how many paths the request names.
func (r *request) pathCount() int {
	switch r.kind {
	case typeOpen, typeSetstat, typeMkdir, typeLstat, typeStat, typeOpendir, typeRemove, typeRmdir, typeRealpath, typeReadlink:
		return 1
	case typeRename, typeSymlink:
		return 2
	case typeExtended:
		switch r.extension {
		case extStatvfs, extLsetstat, extExpandPath:
			return 1
		case extPosixRename, extHardlink:
			return 2
		}
	}
	return 0
}

// follows says whether a link at the end of the path is followed.
func (r *request) follows() bool {
	switch r.kind {
	case typeOpen, typeSetstat, typeStat, typeOpendir, typeRealpath:
		return true
	}
	return r.is(extStatvfs) || r.is(extExpandPath)
}

// changesNames says that the request may change where paths lead.
func (r *request) changesNames() bool {
	switch r.kind {
	case typeOpen:
		return r.flags&flagCreate != 0
	case typeMkdir, typeRmdir, typeRemove, typeRename, typeSymlink:
		return true
	}
	return r.is(extPosixRename) || r.is(extHardlink)
}

// rights are what an OPEN is for. A server opens for reading where neither READ nor WRITE
// is asked for, and creates and truncates also then.
func (r *request) rights() (read, write bool) {
	return r.flags&flagRead != 0 || r.flags&flagWrite == 0, r.flags&^flagRead != 0
}

// readOnly says that the request changes nothing at the target.
func (r *request) readOnly() bool {
	switch r.kind {
	case typeOpen:
		_, write := r.rights()
		return !write
	case typeLstat, typeStat, typeOpendir, typeRealpath, typeReadlink:
		return true
	case typeExtended:
		switch r.extension {
		case extStatvfs, extLimits, extExpandPath, extHomeDirectory, extUsersGroups:
			return true
		}
	}
	return false
}

// operation is what a request comes to, for the absolute paths given; where it has handles,
// these are the paths that they were opened by.
func (r *request) operation(paths [2]string) *Operation {
	op := &Operation{Kind: r.name(), ReadOnly: r.readOnly()}
	op.Accesses = r.accesses(paths[0], paths[1])
	slices.SortFunc(op.Accesses, compareAccess)
	op.Accesses = slices.CompactFunc(op.Accesses, func(a, b policy.Access) bool { return a.Action == b.Action && a.Resource == b.Resource })
	op.Properties = r.attrs.properties(r.flagNames())
	slices.Sort(op.Properties)
	op.Statement = r.statement(paths)
	return op
}

// compareAccess sorts accesses; of two of one kind, the one that needs its Allow is first.
func compareAccess(a, b policy.Access) int {
	if c := strings.Compare(a.Action, b.Action); c != 0 {
		return c
	}
	if c := strings.Compare(a.Resource, b.Resource); c != 0 {
		return c
	}
	switch {
	case a.Indirect == b.Indirect:
		return 0
	case b.Indirect:
		return -1
	}
	return 1
}

func (r *request) accesses(first, second string) []policy.Access {
	one := func(action string) []policy.Access { return []policy.Access{{Action: action, Resource: first}} }
	switch r.kind {
	case typeOpen:
		var to []policy.Access
		read, write := r.rights()
		if read {
			to = append(to, policy.Access{Action: ActionRead, Resource: first})
		}
		if write {
			to = append(to, policy.Access{Action: ActionWrite, Resource: first})
		}
		return to
	case typeLstat, typeStat:
		return one(ActionStat)
	case typeSetstat:
		return r.setting(first)
	case typeFsetstat:
		// What may be written to may be given attributes, unless a rule denies that.
		return []policy.Access{{Action: ActionWrite, Resource: first}, {Action: ActionSetstat, Resource: first, Indirect: true}}
	case typeOpendir:
		return one(ActionList)
	case typeRemove:
		return one(ActionRemove)
	case typeMkdir:
		return one(ActionMkdir)
	case typeRmdir:
		return one(ActionRmdir)
	case typeRealpath:
		return one(ActionRealpath)
	case typeReadlink:
		return one(ActionReadlink)
	case typeRename:
		return both(ActionRename, first, second)
	case typeSymlink:
		return both(ActionSymlink, first, second)
	case typeExtended:
		return r.extendedAccesses(first, second)
	}
	return []policy.Access{{Action: policy.ActionUnknown}}
}

func (r *request) extendedAccesses(first, second string) []policy.Access {
	switch r.extension {
	case extPosixRename:
		return both(ActionRename, first, second)
	case extHardlink:
		return both(ActionLink, first, second)
	case extStatvfs:
		return []policy.Access{{Action: ActionStat, Resource: first}}
	case extLsetstat:
		return r.setting(first)
	case extExpandPath:
		return []policy.Access{{Action: ActionRealpath, Resource: first}}
	case extLimits:
		return []policy.Access{{Action: ActionLimits}}
	case extHomeDirectory:
		return []policy.Access{{Action: ActionHome, Resource: r.paths[0]}}
	case extUsersGroups:
		return []policy.Access{{Action: ActionUsers}}
	case extCopyData:
		return []policy.Access{{Action: ActionRead, Resource: first}, {Action: ActionWrite, Resource: second}}
	}
	return []policy.Access{{Action: policy.ActionUnknown}}
}

// setting is setting attributes by path; a size is content.
func (r *request) setting(path string) []policy.Access {
	to := []policy.Access{{Action: ActionSetstat, Resource: path}}
	if r.attrs.flags&attrSize != 0 {
		to = append(to, policy.Access{Action: ActionWrite, Resource: path})
	}
	return to
}

// both is what gives a file another name: under it, it can be read and written.
func both(action, first, second string) []policy.Access {
	return []policy.Access{
		{Action: action, Resource: first},
		{Action: action, Resource: second},
		{Action: ActionRead, Resource: first, Indirect: true},
		{Action: ActionWrite, Resource: first, Indirect: true},
		{Action: ActionWrite, Resource: second, Indirect: true},
	}
}

// openFlags are the flags of an OPEN with their names.
var openFlags = [...]struct {
	flag     uint32
	name     string
	property bool
}{
	{flagRead, "read", false},
	{flagWrite, "write", false},
	{flagAppend, PropertyAppend, true},
	{flagCreate, PropertyCreate, true},
	{flagTruncate, PropertyTruncate, true},
	{flagExcl, PropertyExclusive, true},
}

// flagNames are the properties of an OPEN's flags.
func (r *request) flagNames() []string {
	var names []string
	for _, f := range openFlags {
		if f.property && r.flags&f.flag != 0 {
			names = append(names, f.name)
		}
	}
	return names
}

// statement is the whole request as text.
func (r *request) statement(paths [2]string) string {
	var to strings.Builder
	to.WriteString(r.name())
	for _, path := range paths {
		if path != "" {
			to.WriteByte(' ')
			to.WriteString(strconv.Quote(path))
		}
	}
	sep := " "
	for _, f := range openFlags {
		if r.flags&f.flag != 0 {
			to.WriteString(sep)
			to.WriteString(f.name)
			sep = ","
		}
	}
	switch {
	case r.is(extCopyData):
		fmt.Fprintf(&to, " from=%d length=%d to=%d", r.offsets[0], r.length, r.offsets[1])
	case r.is(extUsersGroups):
		fmt.Fprintf(&to, " users=%d groups=%d", r.users, r.groups)
	case r.is(extHomeDirectory):
		to.WriteByte(' ')
		to.WriteString(strconv.Quote(r.paths[0]))
	}
	r.attrs.describe(&to)
	for i, asked := range r.paths[:r.pathCount()] {
		if asked != paths[i] {
			fmt.Fprintf(&to, " asked=%q", asked)
		}
	}
	return to.String()
}
