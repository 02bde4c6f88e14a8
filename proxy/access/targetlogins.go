// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TargetLogin is somebody logged in at a target, as the target shows it.
type TargetLogin struct {
	// ID tells it from every other login of its target, at any time.
	ID string
	// Role is the name it logged in with. OwnRole says that it is that of the
	// stored credential.
	Role    string
	OwnRole bool
	// Address is host:port as the target has it; empty where it does not show it.
	Address string
	// Database and Name are what it is connected to and what it calls itself;
	// either may be empty.
	Database, Name string
	// Age is how long it has been there, by the target's clock.
	Age time.Duration
	// Mine says that it is a connection that this handler opened.
	Mine bool
	// Tag is the tag of the proxy instance that its name says it is of; empty
	// where it says nothing of the kind. Whoever logs in can say anything.
	Tag string
}

// ForeignLogin is a login that no proxy made.
type ForeignLogin struct {
	TargetLogin
	Target snapshot.Target
	// Why says what shows that it is foreign.
	Why string
	// FoundAt and SeenAt are when it was seen first, and last.
	FoundAt, SeenAt time.Time
}

// Bounds of what is remembered of foreign logins.
const (
	// rememberFor is how long one is kept after it was seen last.
	rememberFor = 24 * time.Hour
	// maxForeign bounds how many are kept. One that was not seen for staleFor makes
	// room for another.
	maxForeign = 1024
	staleFor   = 5 * time.Minute
)

// How much the judgement of a login allows for.
const (
	// nameFor is how long a login may show no name yet: PostgreSQL shows it a moment
	// after the login itself (backend_status.c, pgstat_bestart).
	nameFor = 2 * time.Second
	// settleFor is how long a connection may be there before its own proxy knows
	// of it: opening one may take that long.
	settleFor = 30 * time.Second
	// lateFor is how old the news of another instance may be: reports are stale
	// after 90 s, and looks are half a minute apart.
	lateFor = 2 * time.Minute
	// lingerFor is how long after its start a proxy takes what it finds there from
	// before for connections of processes that are gone.
	lingerFor = 10 * time.Minute
)

// foreign is what a gate knows of logins at its targets.
type foreign struct {
	began time.Time

	mu sync.Mutex // guards what follows
	// live are the tags of instances and when each was last known to be live.
	live  map[string]time.Time
	found map[foreignKey]*ForeignLogin
	// reachedAt is when a target was last reached.
	reachedAt time.Time
}

type foreignKey struct {
	target snapshot.Target
	id     string
}

func newForeign() *foreign {
	return &foreign{began: time.Now(), live: map[string]time.Time{}, found: map[foreignKey]*ForeignLogin{}}
}

// ForeignLogins are those that were seen within the last 24 h: those with the
// stored credential's role first, which count against isolation, and of each kind
// the newest first.
func (g *Gate) ForeignLogins() []ForeignLogin {
	f := g.foreign
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]ForeignLogin, 0, len(f.found))
	for _, found := range f.found {
		all = append(all, *found)
	}
	slices.SortFunc(all, func(a, b ForeignLogin) int {
		switch {
		case a.OwnRole && !b.OwnRole:
			return -1
		case b.OwnRole && !a.OwnRole:
			return 1
		}
		return cmp.Or(b.FoundAt.Compare(a.FoundAt), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// ReachedAt is when this proxy last had a connection to a target; zero for not yet.
func (g *Gate) ReachedAt() time.Time {
	g.foreign.mu.Lock()
	defer g.foreign.mu.Unlock()
	return g.foreign.reachedAt
}

func (g *Gate) reached(now time.Time) {
	g.foreign.mu.Lock()
	g.foreign.reachedAt = now
	g.foreign.mu.Unlock()
}

// siblings asks which instances are live, and remembers it.
func (g *Gate) siblings(ctx context.Context) error {
	if g.config.Siblings == nil {
		return nil
	}
	tags, err := g.config.Siblings(ctx)
	if err != nil {
		return fmt.Errorf("cannot tell which logins are those of other proxies of this connection: %w", err)
	}
	g.foreign.mu.Lock()
	defer g.foreign.mu.Unlock()
	now := time.Now()
	for _, tag := range tags {
		g.foreign.live[tag] = now
	}
	for tag, seen := range g.foreign.live {
		if now.Sub(seen) > rememberFor {
			delete(g.foreign.live, tag)
		}
	}
	return nil
}

// judgeLogin says why a login is foreign; empty where it is not, or where nothing
// shows it yet. fresh says that the instances were asked for just now.
//
// A name proves nothing: it only says which proxy knows. Each proxy judges those
// that name itself by its own connections, and leaves those that name another to
// that one, for as long as it is live.
func (g *Gate) judgeLogin(l TargetLogin, fresh bool, now time.Time) string {
	f := g.foreign
	f.mu.Lock()
	seen, known := f.live[l.Tag]
	f.mu.Unlock()
	own := l.Tag == g.config.Tag
	// What was there before this process may be of one that is gone.
	left := l.Age > now.Sub(f.began) && now.Sub(f.began) < lingerFor
	switch {
	case l.Mine:
		return ""
	case !l.OwnRole:
		return "a login with another role than the stored credential's"
	case l.Name == "" && l.Age < nameFor:
		return ""
	case l.Tag == "":
		return "a login with the stored credential's role that no proxy made"
	case own && (l.Age < settleFor || left):
		return ""
	case own:
		return "a login with the stored credential's role that is called after a session of this proxy, which did not make it"
	case !fresh, !known && left:
		return ""
	case known && l.Age > now.Sub(seen)-lateFor:
		return "" // its proxy is live, or was when it began, and would have said so
	}
	return "a login with the stored credential's role that is called after a proxy that is not there"
}

// find puts the foreign ones among the logins of a target on record, each once,
// and calls told with each that is new.
func (g *Gate) find(ctx context.Context, s *snapshot.Snapshot, target snapshot.Target, logins []TargetLogin, told func(ForeignLogin)) error {
	var asked error
	fresh := false
	if slices.ContainsFunc(logins, func(l TargetLogin) bool { return !l.Mine && l.Tag != "" && l.Tag != g.config.Tag }) {
		asked = g.siblings(ctx)
		fresh = asked == nil
	}
	now := time.Now()
	var crowded error
	for _, l := range logins {
		why := g.judgeLogin(l, fresh, now)
		if why == "" || g.foreign.again(target, l.ID, now) {
			continue
		}
		if !g.foreign.room(l.OwnRole, now) {
			// It would be put on record at every look.
			crowded = errCrowded
			continue
		}
		found := ForeignLogin{TargetLogin: l, Target: target, Why: why, FoundAt: now, SeenAt: now}
		if _, err := g.config.Log.Append(ctx, g.foreignEvent(s, found)); err != nil {
			return fmt.Errorf("cannot record a login that no proxy made: %w", err) // it is met again
		}
		g.foreign.add(found)
		told(found)
	}
	g.foreign.prune(now)
	return errors.Join(asked, crowded)
}

// errCrowded says that more foreign logins are there than are told apart.
var errCrowded = &Refusal{
	Reason:  ReasonUnavailable,
	Message: fmt.Sprintf("more than %d logins that no proxy made are there at the same time: those beyond are not on record", maxForeign),
}

func (g *Gate) foreignEvent(s *snapshot.Snapshot, l ForeignLogin) record.Event {
	event := record.Event{
		Type: record.ForeignLogin, Connection: recordConnection(s.Connection), Revision: s.Revision, ClientAddress: l.Address, Reason: l.Why,
		Attributes: []record.Attribute{
			{Name: "target", Value: l.Target.Address()}, {Name: "role", Value: l.Role}, {Name: "ownRole", Value: fmt.Sprint(l.OwnRole)}, {Name: "login", Value: l.ID},
		},
	}
	for _, a := range []record.Attribute{{Name: "database", Value: l.Database}, {Name: "name", Value: l.Name}} {
		if a.Value != "" {
			event.Attributes = append(event.Attributes, a)
		}
	}
	return event
}

// again says whether a login is known already, and that it was seen now.
func (f *foreign) again(target snapshot.Target, id string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.found[foreignKey{target, id}]
	if known == nil {
		return false
	}
	known.SeenAt = now
	return true
}

// room says whether one more can be remembered. Where there is none, the one that
// was seen the longest ago is forgotten if that is a while, and for one with the
// stored credential's role one with another: nobody hides behind a crowd of those.
func (f *foreign) room(own bool, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.found) < maxForeign {
		return true
	}
	var oldest, other foreignKey
	var oldestAt, otherAt time.Time
	for key, l := range f.found {
		if oldestAt.IsZero() || l.SeenAt.Before(oldestAt) {
			oldest, oldestAt = key, l.SeenAt
		}
		if !l.OwnRole && (otherAt.IsZero() || l.SeenAt.Before(otherAt)) {
			other, otherAt = key, l.SeenAt
		}
	}
	switch {
	case !otherAt.IsZero() && (own || now.Sub(otherAt) > staleFor):
		delete(f.found, other)
	case own && now.Sub(oldestAt) > staleFor:
		delete(f.found, oldest)
	default:
		return false
	}
	return true
}

func (f *foreign) add(l ForeignLogin) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found[foreignKey{l.Target, l.ID}] = &l
}

func (f *foreign) prune(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, l := range f.found {
		if now.Sub(l.SeenAt) > rememberFor {
			delete(f.found, key)
		}
	}
}
