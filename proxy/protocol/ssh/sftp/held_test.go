// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// TestMovedWhileHeld: checklist 7. What was approved after a wait is what is opened: a directory that
// became a link meanwhile is another.
func TestMovedWhileHeld(t *testing.T) {
	dir := directory(t)
	for _, name := range []string{"shown", "hidden"} {
		if err := os.Mkdir(dir+"/"+name, 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir+"/"+name+"/file", name)
	}
	if err := os.Symlink("shown", dir+"/way"); err != nil {
		t.Fatal(err)
	}
	r := newRoad(script{Resolve: true})
	moves := false
	r.decide = func(_ context.Context, op *Operation) error {
		op.Held = true
		if !moves {
			return nil
		}
		if err := os.Remove(dir + "/way"); err != nil {
			return err
		}
		return os.Symlink("hidden", dir+"/way")
	}
	s := startSession(t, dir, r)
	if p := s.ask(typeOpen, "way/file", uint32(flagRead), noAttrs); p.kind != typeHandle {
		t.Fatalf("nothing moved: %+v", p)
	}
	moves = true
	p := s.ask(typeOpen, "way/file", uint32(flagRead), noAttrs)
	if p.kind != typeStatus {
		t.Fatalf("the other file is open: %+v", p)
	}
	if code, message := p.status(); code != StatusPermissionDenied {
		t.Errorf("%d %s", code, message)
	}
	s.leave(t)
	found := false
	for _, d := range r.all() {
		found = found || d.Operation.Kind == "open" && d.Result.Outcome == Canceled
		if d.Operation.Accesses[0].Resource != dir+"/shown/file" {
			t.Errorf("decided on %+v", d.Operation.Accesses)
		}
	}
	if !found {
		t.Errorf("%s is not on record as canceled", fmt.Sprintf("open %q", dir+"/shown/file"))
	}
}
