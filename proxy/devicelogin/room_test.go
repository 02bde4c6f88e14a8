// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package devicelogin

import (
	"errors"
	"fmt"
	"testing"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/test/portaltest"
)

// TestRoom (checklist 4): whoever fills it from one network keeps nobody else out, and those of
// others stay.
func TestRoom(t *testing.T) {
	var r room
	gone := map[string]int{}
	enter := func(network string) bool {
		_, ok := r.enter(network, func() { gone[network]++ })
		return ok
	}
	if !enter("eldest") {
		t.Fatal("nobody is there yet")
	}
	for i := range maxWaiting - 1 {
		if !enter("many") {
			t.Fatalf("full with %d", i+1)
		}
	}
	if enter("many") || len(gone) > 0 {
		t.Errorf("one more of the same network: %v had to go", gone)
	}
	for i := range 100 {
		enter(fmt.Sprint(i))
	}
	if gone["eldest"] > 0 || gone["many"] != maxWaiting-2 || len(r.guests) != maxWaiting {
		t.Errorf("%v had to go for others, and %d are there", gone, len(r.guests))
	}
	if enter("one more") {
		t.Fatal("there is place where each network has one")
	}
	r.guests = nil
	exit, ok := r.enter("leaves", nil)
	if !ok {
		t.Fatal("no place in an empty room")
	}
	exit()
	exit()
	if len(r.guests) != 0 {
		t.Errorf("%d are there", len(r.guests))
	}
}

// TestMustGo (checklist 4): who has to make place is told so at once.
func TestMustGo(t *testing.T) {
	p, l := portaltest.Start(t), logins(t)
	p.Answer(func(values map[string]any) { values["interval"] = 60 })
	d, err := l.Begin(bounded(t), asking(p.At(), "2001:db8::7"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-p.Polled()
		for range maxWaiting - 1 {
			l.waiting.enter("2001:db8::/48", func() { t.Error("not the eldest") })
		}
		l.waiting.enter("192.0.2.0/24", nil)
	}()
	if _, err := d.Wait(bounded(t)); !errors.Is(err, access.ErrLoginPace) {
		t.Errorf("got %v", err)
	}
}
