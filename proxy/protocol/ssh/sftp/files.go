// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

// file is an open file or directory. The session's mu guards the fields of the second part.
type file struct {
	path         string
	isDirectory  bool
	mayRead      bool
	mayWrite     bool
	permit       Permit
	read         sequence // the answers pump's, but for its begin
	written      sequence // the requests pump's
	bytesWritten int64    // acknowledged; the answers pump's
	entries      int64    // the answers pump's
	isRead       bool     // a READ was forwarded

	handle string
	// busy is the number of requests about it that are not answered, its CLOSE among them.
	busy int
	// closed says that its CLOSE was forwarded, and closeAnswered what it says.
	closed, closeAnswered bool
	// status is the first failure.
	status Status
	done   bool
}

// result is what came of it. Both pumps are done with it.
func (f *file) result(outcome string) Result {
	r := Result{Outcome: outcome, Status: f.status, Entries: f.entries}
	if r.Outcome == Succeeded && f.status != StatusOK {
		r.Outcome = Failed
	}
	if !f.isDirectory {
		r.Read, r.Written = f.read.transfer(f.read.came), f.written.transfer(f.bytesWritten)
	}
	return r
}

// note keeps the first failure of what is part of a file's operation.
func (f *file) note(code Status) {
	if f.status == StatusOK && code != StatusEOF {
		f.status = code
	}
}

// files are those that are open, by handle, and those whose OPEN is not answered. The
// session's mu guards it.
type files struct {
	byHandle map[string]*file
	// closing are those whose CLOSE is forwarded and not answered.
	closing map[*file]struct{}
	opening int
}

// count is how many handles the target holds, or may.
func (f *files) count() int { return len(f.byHandle) + len(f.closing) + f.opening }

// use finds the file of a handle for a request about it.
func (s *session) use(handle []byte) *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files.byHandle[string(handle)]
}
