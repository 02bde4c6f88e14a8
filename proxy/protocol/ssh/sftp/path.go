// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"path"
	"strings"
)

// absolute is a path as its text says, made absolute against a directory and cleaned: see
// the package's documentation for what that promises.
func absolute(directory, asked string) string {
	if !strings.HasPrefix(asked, "/") {
		asked = directory + "/" + asked
	}
	return path.Clean(asked)
}

// expanded is absolute for expand-path, which knows "~" and "~user". Where the home of a
// user is, only the target knows: such a path stays as it is, and matches no rule about
// absolute ones.
func expanded(home, asked string) string {
	if name, rest, _ := strings.Cut(asked, "/"); name == "~" {
		return absolute(home, rest)
	}
	if strings.HasPrefix(asked, "~") {
		return asked
	}
	return absolute(home, asked)
}

// split parts a path into its parent, as the target is to be asked for it, and its last
// name. It is false where the end of the path is no name of its own, but that of a
// directory that the path leads through.
func split(asked string) (parent, name string, ok bool) {
	i := strings.LastIndexByte(asked, '/')
	name = asked[i+1:]
	if name == "" || name == "." || name == ".." {
		return "", "", false
	}
	switch i {
	case -1:
		return ".", name, true
	case 0:
		return "/", name, true
	}
	return asked[:i], name, true
}

// join puts a name below a directory that the target named.
func join(directory, name string) string {
	return strings.TrimSuffix(directory, "/") + "/" + name
}

// lexical are the absolute paths of a request by their text alone.
func (r *request) lexical(home string) [2]string {
	var paths [2]string
	for i := range r.pathCount() {
		paths[i] = absolute(home, r.paths[i])
	}
	switch {
	case r.kind == typeSymlink:
		// OpenSSH's order: what it points to, which is relative to where the link is.
		paths[0] = absolute(path.Dir(paths[1]), r.paths[0])
	case r.is(extExpandPath):
		paths[0] = expanded(home, r.paths[0])
	}
	return paths
}
