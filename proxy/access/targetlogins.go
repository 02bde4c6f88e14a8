// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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
	// settleFor is how long a connection may be there before its own proxy knows of
	// it, or without a name: opening one may take that long.
	settleFor = 30 * time.Second
	// lateFor is how old the news of another instance may be: reports are stale
	// after 90 s, and looks are half a minute apart.
	lateFor = 2 * time.Minute
	// lingerFor is how long after its start a proxy takes what it finds there from
	// before for connections of processes that are gone. After that nobody can tell.
	lingerFor = 10 * time.Minute
)

// Sibling is a live proxy instance of the Connection.
type Sibling struct {
	// Tag is what its connections are named with.
	Tag string
	// Sees says that it looks, and tells who is called after its own connections.
	Sees bool
}

// sibling is what is remembered of one.
type sibling struct {
	// liveAt is when it was last known to be live.
	liveAt time.Time
	// blindSince is when it was first known not to see; zero where it did last.
	blindSince time.Time
}

// foreign is what a gate knows of logins at its targets.
type foreign struct {
	began time.Time

	mu       sync.Mutex // guards what follows
	siblings map[string]sibling
	found    map[foreignKey]*ForeignLogin
	// reachedAt is when each target was last reached.
	reachedAt map[snapshot.Target]time.Time
}

type foreignKey struct {
	target snapshot.Target
	id     string
}

func newForeign() *foreign {
	return &foreign{
		began: time.Now(), siblings: map[string]sibling{}, found: map[foreignKey]*ForeignLogin{}, reachedAt: map[snapshot.Target]time.Time{},
	}
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

// ReachedAt is when this proxy last had a connection to a target; zero for not within
// the last 24 h.
func (g *Gate) ReachedAt(target snapshot.Target) time.Time {
	g.foreign.mu.Lock()
	defer g.foreign.mu.Unlock()
	return g.foreign.reachedAt[target]
}

func (g *Gate) reached(target snapshot.Target, now time.Time) {
	f := g.foreign
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reachedAt[target] = now
	maps.DeleteFunc(f.reachedAt, func(_ snapshot.Target, at time.Time) bool { return now.Sub(at) > rememberFor })
}

// askSiblings asks which instances are live, and remembers it.
func (g *Gate) askSiblings(ctx context.Context) error {
	if g.config.Siblings == nil {
		return nil
	}
	live, err := g.config.Siblings(ctx)
	if err != nil {
		return fmt.Errorf("cannot tell which logins are those of other proxies of this connection: %w", err)
	}
	f := g.foreign
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for _, one := range live {
		known := f.siblings[one.Tag]
		known.liveAt = now
		switch {
		case one.Sees:
			known.blindSince = time.Time{}
		case known.blindSince.IsZero():
			known.blindSince = now
		}
		f.siblings[one.Tag] = known
	}
	maps.DeleteFunc(f.siblings, func(_ string, s sibling) bool { return now.Sub(s.liveAt) > rememberFor })
	return nil
}

// judgement is what is thought of a login: neither says that it is a proxy's, or that
// nothing shows otherwise yet.
type judgement struct {
	// foreign is why it is foreign, untold why nobody can tell.
	foreign, untold string
}

// judgeLogin judges a login. fresh says that the instances were asked for just now,
// staleness is how long one of them may serve that nobody hears of.
//
// A name proves nothing: it only says which proxy knows. Each proxy judges those
// that name itself by its own connections, and leaves those that name another to
// that one.
func (g *Gate) judgeLogin(l TargetLogin, fresh bool, staleness time.Duration, now time.Time) judgement {
	f := g.foreign
	f.mu.Lock()
	named, known := f.siblings[l.Tag]
	f.mu.Unlock()
	began, up := now.Add(-l.Age), now.Sub(f.began)
	own := l.Tag == g.config.Tag
	switch {
	case l.Mine:
		return judgement{}
	case !l.OwnRole:
		return judgement{foreign: "a login with another role than the stored credential's"}
	case l.Name == "" && l.Age < settleFor, own && l.Age < settleFor:
		return judgement{}
	case l.Tag == "":
		return judgement{foreign: "a login with the stored credential's role that no proxy made"}
	case !own && !fresh:
		return judgement{} // who asked was told that nobody answered
	case (own || !known) && l.Age > up && up < lingerFor:
		return judgement{} // left behind by a process that is gone
	case (own || !known) && l.Age > up:
		return judgement{untold: "it was there before this proxy, called after a proxy's session: end it, or wait for its end"}
	case own:
		return judgement{foreign: "a login with the stored credential's role that is called after a session of this proxy, which did not make it"}
	case known && began.Before(named.liveAt):
		if !named.blindSince.IsZero() && now.Sub(named.blindSince) >= settleFor {
			return judgement{untold: "it is called after a session of another proxy, which cannot tell: see what that one says"}
		}
		return judgement{} // that one sees, and would have said so
	case known && began.Before(named.liveAt.Add(staleness+lateFor)):
		return judgement{untold: "it is called after a session of a proxy that was lost before it came, and may still serve"}
	}
	return judgement{foreign: "a login with the stored credential's role that is called after a proxy that is not there"}
}

// find puts the foreign ones among the logins of a target on record, each once,
// and calls told with each that is new.
func (g *Gate) find(ctx context.Context, s *snapshot.Snapshot, target snapshot.Target, logins []TargetLogin, told func(ForeignLogin)) error {
	var asked error
	fresh := false
	if slices.ContainsFunc(logins, func(l TargetLogin) bool { return !l.Mine && l.Tag != "" && l.Tag != g.config.Tag }) {
		asked = g.askSiblings(ctx)
		fresh = asked == nil
	}
	now := time.Now()
	var crowded, untold error
	for _, l := range logins {
		judged := g.judgeLogin(l, fresh, staleness(s.MaxStalenessSeconds), now)
		if judged.untold != "" && untold == nil {
			untold = unavailable(fmt.Sprintf("login %q cannot be told from a proxy's: %s", l.ID, judged.untold), "", nil)
		}
		if judged.foreign == "" || g.foreign.again(target, l.ID, now) {
			continue
		}
		if !g.foreign.room(l.OwnRole, now) {
			// It would be put on record at every look.
			crowded = errCrowded
			continue
		}
		found := ForeignLogin{TargetLogin: l, Target: target, Why: judged.foreign, FoundAt: now, SeenAt: now}
		if _, err := g.config.Log.Append(ctx, g.foreignEvent(s, found)); err != nil {
			return fmt.Errorf("cannot record a login that no proxy made: %w", err) // it is met again
		}
		g.foreign.add(found)
		told(found)
	}
	g.foreign.prune(now)
	if err := errors.Join(asked, untold); err != nil && crowded == nil {
		return &OthersUntold{err}
	}
	return errors.Join(asked, untold, crowded)
}

// OthersUntold is the error of a look that told who is called after this proxy's own
// connections, and not all of the others.
type OthersUntold struct{ error }

// Unwrap returns why.
func (e *OthersUntold) Unwrap() error { return e.error }

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
