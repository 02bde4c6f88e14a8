// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestJudgeLogin is checklist 52: whose login is taken for foreign, by whom and when,
// and what nobody can tell.
func TestJudgeLogin(t *testing.T) {
	const (
		mine, other, blind, blinking, gone, never = "aaaaaa", "bbbbbb", "cccccc", "dddddd", "ffffff", "gggggg"

		unmade   = "a login with the stored credential's role that no proxy made"
		notMade  = "a login with the stored credential's role that is called after a session of this proxy, which did not make it"
		notThere = "a login with the stored credential's role that is called after a proxy that is not there"
		before   = "it was there before this proxy, called after a proxy's session: end it, or wait for its end"
		others   = "it is called after a session of another proxy, which cannot tell: see what that one says"
		lost     = "it is called after a session of a proxy that was lost before it came, and may still serve"

		staleness = 5 * time.Minute
		goneFor   = 20 * time.Minute
	)
	foreign, untold := func(why string) judgement { return judgement{foreign: why} }, func(why string) judgement { return judgement{untold: why} }
	for name, tc := range map[string]struct {
		reason  string
		login   TargetLogin
		up      time.Duration // how long this proxy has run; an hour where zero
		unasked bool          // the instances could not be asked for
		want    judgement
	}{
		"Mine":               {reason: "this proxy opened it, whatever it is called", login: TargetLogin{OwnRole: true, Mine: true}},
		"NoName":             {reason: "shared use of the credential", login: TargetLogin{OwnRole: true, Age: settleFor}, want: foreign(unmade)},
		"NoNameYet":          {reason: "a name shows after the login, which may have taken long", login: TargetLogin{OwnRole: true, Age: settleFor - time.Millisecond}},
		"OtherName":          {reason: "who has a name has shown it", login: TargetLogin{OwnRole: true, Name: "psql", Age: time.Millisecond}, want: foreign(unmade)},
		"NoNameUnasked":      {reason: "nobody needs to be asked", login: TargetLogin{OwnRole: true, Age: settleFor}, unasked: true, want: foreign(unmade)},
		"OldWithoutName":     {reason: "proxies always name their connections", login: TargetLogin{OwnRole: true, Age: 2 * time.Hour}, up: time.Minute, want: foreign(unmade)},
		"OtherRole":          {reason: "where the options ask for them", login: TargetLogin{}, want: foreign("a login with another role than the stored credential's")},
		"OwnNameYoung":       {reason: "it may be one that this proxy is about to open", login: TargetLogin{OwnRole: true, Tag: mine, Age: settleFor - time.Second}},
		"OwnName":            {reason: "the name was copied from a session of this proxy", login: TargetLogin{OwnRole: true, Tag: mine, Age: settleFor + time.Second}, want: foreign(notMade)},
		"OwnNameBefore":      {reason: "the process before this one may have left it", login: TargetLogin{OwnRole: true, Tag: mine, Age: time.Hour}, up: time.Minute},
		"OwnNameLongBefore":  {reason: "a killed proxy's statement may run for long; and so may a thief's", login: TargetLogin{OwnRole: true, Tag: mine, Age: time.Hour}, up: lingerFor, want: untold(before)},
		"OwnNameSince":       {reason: "what came since is known", login: TargetLogin{OwnRole: true, Tag: mine, Age: lingerFor - time.Second}, up: lingerFor, want: foreign(notMade)},
		"Sibling":            {reason: "a live one looks for itself", login: TargetLogin{OwnRole: true, Tag: other, Age: time.Minute}},
		"SiblingUnasked":     {reason: "nobody can tell, which is an error of its own", login: TargetLogin{OwnRole: true, Tag: other, Age: time.Minute}, unasked: true},
		"SiblingBlind":       {reason: "whoever copies its name is judged by nobody", login: TargetLogin{OwnRole: true, Tag: blind, Age: time.Minute}, want: untold(others)},
		"SiblingBlinks":      {reason: "one that begins has not looked yet", login: TargetLogin{OwnRole: true, Tag: blinking, Age: time.Minute}},
		"GoneOld":            {reason: "it began while that one was live", login: TargetLogin{OwnRole: true, Tag: gone, Age: 30 * time.Minute}},
		"GoneSince":          {reason: "one that has lost the API server goes on for a while", login: TargetLogin{OwnRole: true, Tag: gone, Age: goneFor - time.Second}, want: untold(lost)},
		"GoneAWhile":         {reason: "until it has been stale for as long as it may, and its report, too", login: TargetLogin{OwnRole: true, Tag: gone, Age: goneFor - staleness - lateFor + time.Second}, want: untold(lost)},
		"GoneNew":            {reason: "it took the name of a proxy that is gone", login: TargetLogin{OwnRole: true, Tag: gone, Age: goneFor - staleness - lateFor}, want: foreign(notThere)},
		"Never":              {reason: "the name is made up", login: TargetLogin{OwnRole: true, Tag: never, Age: time.Minute}, want: foreign(notThere)},
		"NeverBeforeUs":      {reason: "its proxy may have gone before this one came", login: TargetLogin{OwnRole: true, Tag: never, Age: time.Hour}, up: time.Minute},
		"NeverLongBeforeUs":  {reason: "nor can anybody tell later", login: TargetLogin{OwnRole: true, Tag: never, Age: time.Hour}, up: lingerFor, want: untold(before)},
		"NeverUnasked":       {reason: "nobody can tell, which is an error of its own", login: TargetLogin{OwnRole: true, Tag: never, Age: time.Minute}, unasked: true},
		"NeverAfterOurStart": {reason: "also right after the start", login: TargetLogin{OwnRole: true, Tag: never, Age: 40 * time.Second}, up: time.Minute, want: foreign(notThere)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			w.gate.config.Tag = mine
			now := time.Now()
			if tc.up == 0 {
				tc.up = time.Hour
			}
			w.gate.foreign.began = now.Add(-tc.up)
			w.gate.foreign.siblings = map[string]sibling{
				mine: {liveAt: now}, other: {liveAt: now}, gone: {liveAt: now.Add(-goneFor)},
				blind: {liveAt: now, blindSince: now.Add(-settleFor)}, blinking: {liveAt: now, blindSince: now.Add(-settleFor + time.Second)},
			}
			got := w.gate.judgeLogin(tc.login, !tc.unasked, staleness, now)
			if got != tc.want {
				t.Errorf("%s: %+v, want %+v", tc.reason, got, tc.want)
			}
		})
	}
}

// TestForeignLoginOnce: a login is on record and told once, however often it is
// seen; one that could not be recorded is met again.
func TestForeignLoginOnce(t *testing.T) {
	w := newWorld(t, allowing)
	var told []string
	var looks []error
	watch := w.gate.NewLoginWatch(&w.connected, w.connected.Targets[0], LoginWatchOptions{
		Found:  func(l ForeignLogin) { told = append(told, l.ID) },
		Looked: func(err error) { looks = append(looks, err) },
	})
	saw := func(ids ...string) {
		t.Helper()
		logins := []TargetLogin{{ID: "own", OwnRole: true, Mine: true}}
		for _, id := range ids {
			logins = append(logins, TargetLogin{ID: id, Role: "shop", OwnRole: true, Address: "192.0.2.66:4022", Database: "shop", Name: "psql"})
		}
		if err := watch.Saw(t.Context(), logins); err != nil {
			t.Fatal(err)
		}
	}
	w.log.Fail(errBoom)
	saw("1")
	if len(told) != 0 || len(looks) != 1 || !errors.Is(looks[0], errBoom) || len(w.gate.ForeignLogins()) != 0 {
		t.Fatalf("with a log that takes nothing: told %v, looks %v", told, looks)
	}
	w.log.Fail(nil)
	saw("1")
	saw("1", "2")
	saw("2")
	if diff := cmp.Diff([]string{"1", "2"}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	events := w.log.OfType(record.ForeignLogin)
	if len(events) != 2 || events[0].ClientAddress != "192.0.2.66:4022" || events[0].Reason == "" || events[0].Connection.UID != "c-1" {
		t.Fatalf("records: %+v", events)
	}
	want := []record.Attribute{
		{Name: "target", Value: "db.example:5432"},
		{Name: "role", Value: "shop"},
		{Name: "ownRole", Value: "true"},
		{Name: "login", Value: "1"},
		{Name: "database", Value: "shop"},
		{Name: "name", Value: "psql"},
	}
	if diff := cmp.Diff(want, events[0].Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if found := w.gate.ForeignLogins(); len(found) != 2 || !found[0].SeenAt.After(found[0].FoundAt.Add(-1)) {
		t.Errorf("known: %+v", found)
	}
	if looked := w.connected.Targets[0]; w.gate.ReachedAt(looked).IsZero() || !w.gate.ReachedAt(snapshot.Target{Host: "other.example", Port: looked.Port}).IsZero() {
		t.Error("who looks has reached that target, and no other")
	}
}

// TestForeignLoginsAreBounded is checklist 52: nobody who uses the stored credential
// hides behind many logins with other roles, and no login is put on record again and
// again.
func TestForeignLoginsAreBounded(t *testing.T) {
	w := newWorld(t, allowing)
	var told []string
	var looked error
	watch := w.gate.NewLoginWatch(&w.connected, w.connected.Targets[0], LoginWatchOptions{
		Found:  func(l ForeignLogin) { told = append(told, l.ID) },
		Looked: func(err error) { looked = err },
	})
	saw := func(logins ...TargetLogin) []string {
		t.Helper()
		told = nil
		if err := watch.Saw(t.Context(), logins); err != nil {
			t.Fatal(err)
		}
		return told
	}
	var crowd []TargetLogin
	for i := range maxForeign {
		crowd = append(crowd, TargetLogin{ID: fmt.Sprint(i), Role: "web"})
	}
	if n := len(saw(crowd...)); n != maxForeign || looked != nil {
		t.Fatalf("%d found, %v", n, looked)
	}
	if got := saw(append(crowd, TargetLogin{ID: "late", Role: "web"})...); got != nil || !errors.Is(looked, errCrowded) {
		t.Errorf("one more than are kept: found %q, %v", got, looked)
	}
	thief := TargetLogin{ID: "thief", Role: "shop", OwnRole: true, Name: "psql"}
	if got := saw(thief); len(got) != 1 {
		t.Errorf("in a crowd: %q", got)
	}
	if got := saw(thief); got != nil || looked != nil {
		t.Errorf("once more: %q, %v", got, looked)
	}
	if first := w.gate.ForeignLogins()[0]; first.ID != "thief" {
		t.Errorf("the first is %q", first.ID)
	}
	for key, l := range w.gate.foreign.found {
		if key.id != "thief" {
			l.SeenAt = l.SeenAt.Add(-staleFor - time.Second)
		}
	}
	if got := saw(thief, TargetLogin{ID: "next", Role: "web"}); len(got) != 1 || got[0] != "next" {
		t.Errorf("when the crowd has gone: %q", got)
	}
	for _, l := range w.gate.foreign.found {
		l.OwnRole, l.SeenAt = true, time.Now().Add(-staleFor-time.Second)
	}
	if got := saw(TargetLogin{ID: "other", Role: "web"}); got != nil {
		t.Errorf("one with another role makes the credential's forgotten: %q", got)
	}
	if got := saw(TargetLogin{ID: "again", Role: "shop", OwnRole: true, Name: "psql"}); len(got) != 1 || len(w.gate.ForeignLogins()) != maxForeign {
		t.Errorf("%q, %d are kept", got, len(w.gate.ForeignLogins()))
	}
}

// TestSiblingsAreAsked: only where somebody is called after another proxy; an error
// is told instead of taken for an answer, and so is what none of them can tell.
func TestSiblingsAreAsked(t *testing.T) {
	w := newWorld(t, allowing)
	asked, answer := 0, error(nil)
	sees := true
	w.gate.config.Siblings = func(context.Context) ([]Sibling, error) {
		asked++
		return []Sibling{{Tag: "bbbbbb", Sees: sees}}, answer
	}
	w.gate.foreign.began = time.Now().Add(-time.Hour)
	var looked error
	watch := w.gate.NewLoginWatch(&w.connected, w.connected.Targets[0], LoginWatchOptions{Found: func(ForeignLogin) {}, Looked: func(err error) { looked = err }})
	saw := func(tag string) int {
		t.Helper()
		if err := watch.Saw(t.Context(), []TargetLogin{{ID: tag, OwnRole: true, Tag: tag, Age: time.Minute}}); err != nil {
			t.Fatal(err)
		}
		return len(w.log.OfType(record.ForeignLogin))
	}
	if n := saw(w.gate.config.Tag); n != 1 || asked != 0 {
		t.Errorf("one that this proxy alone knows of: %d found, asked %d times", n, asked)
	}
	if n := saw("bbbbbb"); n != 1 || asked != 1 {
		t.Errorf("one of a live sibling: %d found, asked %d times", n, asked)
	}
	answer = errBoom
	if n := saw("cccccc"); n != 1 || !errors.Is(looked, errBoom) {
		t.Errorf("nobody to ask: %d found, %v", n, looked)
	}
	answer = nil
	if n := saw("cccccc"); n != 2 || looked != nil {
		t.Errorf("one of nobody: %d found, %v", n, looked)
	}
	// A live one that does not look judges nobody, and neither does anybody else.
	sees = false
	if n := saw("bbbbbb"); n != 2 || looked != nil {
		t.Errorf("one of a sibling that has not looked yet: %d found, %v", n, looked)
	}
	blind := w.gate.foreign.siblings["bbbbbb"]
	blind.blindSince = blind.blindSince.Add(-settleFor)
	w.gate.foreign.siblings["bbbbbb"] = blind
	var untold *OthersUntold
	var told *Refusal
	if n := saw("bbbbbb"); n != 2 || !errors.As(looked, &untold) || !errors.As(looked, &told) || !strings.Contains(told.Message, `login "bbbbbb"`) {
		t.Errorf("one of a blind sibling: %d found, %v", n, looked)
	}
	sees = true
	if n := saw("bbbbbb"); n != 2 || looked != nil {
		t.Errorf("when it sees again: %d found, %v", n, looked)
	}
}

// TestReachIsOnRecord: that the proxy itself logs in is on record before it does,
// and it does not without proof of freshness.
func TestReachIsOnRecord(t *testing.T) {
	w := newWorld(t, allowing)
	w.gate.config.Instance = "shop-0"
	watch := w.gate.NewLoginWatch(&w.connected, w.connected.Targets[0], LoginWatchOptions{})
	w.log.Fail(errBoom)
	if _, err := watch.Reach(t.Context()); !errors.Is(err, errBoom) {
		t.Errorf("with a log that takes nothing: %v", err)
	}
	w.log.Fail(nil)
	up, err := watch.Reach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = up.Conn.Close()
	events := w.log.OfType(record.TargetWatched)
	if len(events) != 1 || events[0].Actor == nil || events[0].Actor.Subject != "shop-0" || events[0].Attributes[0].Value != "db.example:5432" {
		t.Errorf("records: %+v", events)
	}
	w.gate.until.Store(nil)
	if _, err := watch.Reach(t.Context()); err == nil {
		t.Error("reached without proof of freshness")
	}
	if n := len(w.log.OfType(record.TargetWatched)); n != 1 {
		t.Errorf("%d records", n)
	}
}

// TestSessionsCarryTheTag: a session's name says which instance opened it.
func TestSessionsCarryTheTag(t *testing.T) {
	id := newSessionID("shop", "bcdfgh")
	if !strings.HasPrefix(id, "shop-bcdfgh") || len(id) != len("shop-")+16 || id == newSessionID("shop", "bcdfgh") {
		t.Errorf("session %q", id)
	}
}
