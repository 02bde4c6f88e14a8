// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"crypto/sha256"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/doorward/doorward/proxy/pace"
)

// provenFor is how long a token that was proven is known for one of somebody.
const provenFor = 30 * time.Second

// digest stands for a token: tokens themselves are not kept.
type digest [sha256.Size]byte

// tries limits how often tokens are tried, of one address and of all. What turns out to be
// somebody's token is given back, and passes for a while, at a pace of its own: behind a
// load balancer readers share an address with whoever sends junk. It is reviewed each time
// all the same.
type tries struct {
	hosts *pace.Paces[string]
	all   *rate.Limiter
	known *pace.Paces[digest]

	mu     sync.Mutex // guards proven
	proven map[digest]time.Time
}

func newTries() *tries {
	return &tries{
		hosts: pace.New[string](triesPerSecond, triesBurst, mostKept), all: rate.NewLimiter(allTriesPerSecond, allTriesBurst),
		known: pace.New[digest](triesPerSecond, triesBurst, mostKept), proven: map[digest]time.Time{},
	}
}

// try is one token that may be tried.
type try struct {
	host    string
	token   digest
	charged bool
}

// begin says whether a token may be tried now.
func (t *tries) begin(host, token string, now time.Time) (try, bool) {
	one := try{host: host, token: sha256.Sum256([]byte(token))}
	t.mu.Lock()
	at, lately := t.proven[one.token]
	t.mu.Unlock()
	if lately && now.Sub(at) < provenFor {
		return one, t.known.Allow(one.token, now)
	}
	one.charged = true
	return one, t.hosts.Allow(host, now) && t.all.AllowN(now, 1)
}

// end says whether the token was proven to be somebody's.
func (t *tries) end(one try, proven bool, now time.Time) {
	if proven && one.charged {
		t.hosts.Return(one.host, now)
		t.all.AllowN(now, -1)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.proven, one.token)
	if !proven {
		return
	}
	if len(t.proven) >= mostKept {
		for token, at := range t.proven {
			if now.Sub(at) >= provenFor {
				delete(t.proven, token)
			}
		}
	}
	if len(t.proven) < mostKept { // beyond that it pays like the others
		t.proven[one.token] = now
	}
}
