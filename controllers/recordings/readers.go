// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import "sync"

// mostOfReader is how many recordings one reader reads at a time, so that none keeps the
// others out.
const mostOfReader = 2

// readers counts what each reads at present. The zero value is ready.
type readers struct {
	mu    sync.Mutex // guards reads
	reads map[string]int
}

// enter says whether somebody may read one more. Who may leaves afterwards.
func (r *readers) enter(user string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reads[user] >= mostOfReader {
		return false
	}
	if r.reads == nil {
		r.reads = map[string]int{}
	}
	r.reads[user]++
	return true
}

func (r *readers) leave(user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads[user]--
	if r.reads[user] == 0 {
		delete(r.reads, user)
	}
}
