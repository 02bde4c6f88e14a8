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
)

// TestJudgeLogin is checklist 52: whose login is taken for foreign, by whom and when.
func TestJudgeLogin(t *testing.T) {
	const (
		mine, sibling, gone, never = "aaaaaa", "bbbbbb", "cccccc", "dddddd"
		unmade                     = "a login with the stored credential's role that no proxy made"
		notMade                    = "a login with the stored credential's role that is called after a session of this proxy, which did not make it"
		notThere                   = "a login with the stored credential's role that is called after a proxy that is not there"
	)
	for name, tc := range map[string]struct {
		reason string
		login  TargetLogin
		up     time.Duration // how long this proxy has run; an hour where zero
		blind  bool          // the instances could not be asked for
		want   string
	}{
		"Mine":               {reason: "this proxy opened it, whatever it is called", login: TargetLogin{OwnRole: true, Mine: true}},
		"NoName":             {reason: "shared use of the credential", login: TargetLogin{OwnRole: true, Age: nameFor}, want: unmade},
		"NoNameYet":          {reason: "a name shows a moment after the login", login: TargetLogin{OwnRole: true, Age: nameFor - time.Millisecond}},
		"OtherName":          {reason: "who has a name has shown it", login: TargetLogin{OwnRole: true, Name: "psql", Age: time.Millisecond}, want: unmade},
		"NoNameBlind":        {reason: "nobody needs to be asked", login: TargetLogin{OwnRole: true, Age: nameFor}, blind: true, want: unmade},
		"OldWithoutName":     {reason: "proxies always name their connections", login: TargetLogin{OwnRole: true, Age: 2 * time.Hour}, up: time.Minute, want: unmade},
		"OtherRole":          {reason: "where the options ask for them", login: TargetLogin{}, want: "a login with another role than the stored credential's"},
		"OwnNameYoung":       {reason: "it may be one that this proxy is about to open", login: TargetLogin{OwnRole: true, Tag: mine, Age: settleFor - time.Second}},
		"OwnName":            {reason: "the name was copied from a session of this proxy", login: TargetLogin{OwnRole: true, Tag: mine, Age: settleFor + time.Second}, want: notMade},
		"OwnNameBefore":      {reason: "the process before this one may have left it", login: TargetLogin{OwnRole: true, Tag: mine, Age: time.Hour}, up: time.Minute},
		"OwnNameLongBefore":  {reason: "what is left does not stay for ever", login: TargetLogin{OwnRole: true, Tag: mine, Age: time.Hour}, up: lingerFor + time.Second, want: notMade},
		"Sibling":            {reason: "a live one looks for itself", login: TargetLogin{OwnRole: true, Tag: sibling, Age: time.Minute}},
		"SiblingBlind":       {reason: "nobody can tell", login: TargetLogin{OwnRole: true, Tag: sibling, Age: time.Minute}, blind: true},
		"GoneOld":            {reason: "it began while that one was live", login: TargetLogin{OwnRole: true, Tag: gone, Age: 30 * time.Minute}},
		"GoneNew":            {reason: "it took the name of a proxy that is gone", login: TargetLogin{OwnRole: true, Tag: gone, Age: time.Minute}, want: notThere},
		"Never":              {reason: "the name is made up", login: TargetLogin{OwnRole: true, Tag: never, Age: time.Minute}, want: notThere},
		"NeverBeforeUs":      {reason: "its proxy may have gone before this one came", login: TargetLogin{OwnRole: true, Tag: never, Age: time.Hour}, up: time.Minute},
		"NeverLongBeforeUs":  {reason: "not for ever", login: TargetLogin{OwnRole: true, Tag: never, Age: time.Hour}, up: lingerFor + time.Second, want: notThere},
		"NeverBlind":         {reason: "nobody can tell", login: TargetLogin{OwnRole: true, Tag: never, Age: time.Minute}, blind: true},
		"NeverAfterOurStart": {reason: "also right after the start", login: TargetLogin{OwnRole: true, Tag: never, Age: 40 * time.Second}, up: time.Minute, want: notThere},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			w.gate.config.Tag = mine
			now := time.Now()
			if tc.up == 0 {
				tc.up = time.Hour
			}
			w.gate.foreign.began = now.Add(-tc.up)
			w.gate.foreign.live = map[string]time.Time{mine: now, sibling: now, gone: now.Add(-20 * time.Minute)}
			if diff := cmp.Diff(tc.want, w.gate.judgeLogin(tc.login, !tc.blind, now)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
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
	if w.gate.ReachedAt().IsZero() {
		t.Error("who looks has reached the target")
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

// TestSiblingsAreAsked: only where somebody is called after another proxy, and an
// error is told instead of taken for an answer.
func TestSiblingsAreAsked(t *testing.T) {
	w := newWorld(t, allowing)
	asked, answer := 0, error(nil)
	w.gate.config.Siblings = func(context.Context) ([]string, error) { asked++; return []string{"bbbbbb"}, answer }
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
