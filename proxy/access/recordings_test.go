// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
)

// TestRecordingsTogether: several shells of one session, each recorded while others are
// decided and end; each recording is whole, and nothing of it follows its operation's result.
func TestRecordingsTogether(t *testing.T) {
	const shells, lines = 6, 40
	w := newWorld(t, allowing)
	_, dir := w.spooled()
	grant := w.authorize()
	var wait sync.WaitGroup
	for range shells {
		permit := w.shell(grant)
		id := fmt.Sprintf("shell-%d", permit.Operation())
		wait.Go(func() {
			writer, err := cast.NewWriter(cast.Options{ID: id, Start: time.Unix(1772600767, 0), Emit: permit.Recording})
			if err != nil {
				t.Error(err)
				return
			}
			for n := range lines {
				// A second passes with each line, so that each is a part.
				if err := writer.Output(time.Duration(n)*2*time.Second, []byte(id+"\r\n")); err != nil {
					t.Error(err)
				}
			}
			end, err := writer.Close()
			if err == nil {
				err = permit.Recording(end)
			}
			if err != nil {
				t.Error(err)
			}
			permit.Done(record.Result{Outcome: "Succeeded"})
		})
	}
	wait.Wait()
	// One that goes on when the session is closed.
	permit := w.shell(grant)
	stopped := make(chan error)
	go func() {
		for n := int64(0); ; n++ {
			if err := permit.Recording(part("shell-last", n, "[]\n")); err != nil {
				stopped <- err
				return
			}
		}
	}()
	grant.Close("left")
	if err := <-stopped; !errors.Is(err, ErrRecord) {
		t.Errorf("after the session: %v", err)
	}
	texts, casts, done := map[string]*strings.Builder{}, map[string]*cast.Assembler{}, map[uint64]bool{}
	for _, d := range w.documents(dir) {
		if d.Type == record.OperationResult {
			done[d.OperationID] = true
		}
		r := d.Recording
		if r == nil {
			continue
		}
		if done[d.OperationID] {
			t.Errorf("part %d of %q follows the result", r.Sequence, r.ID)
		}
		if casts[r.ID] == nil {
			texts[r.ID] = &strings.Builder{}
			casts[r.ID] = cast.NewAssembler(r.ID, texts[r.ID])
		}
		take := casts[r.ID].Part
		if d.Type == record.RecordingEnd {
			take = casts[r.ID].End
		}
		if err := take(r); err != nil {
			t.Error(err)
		}
	}
	for id, one := range casts {
		if id != "shell-last" && (!one.Ended() || one.Parts() < lines || strings.Count(texts[id].String(), id) != lines) {
			t.Errorf("%s: ended %v, %d parts: %s", id, one.Ended(), one.Parts(), texts[id])
		}
	}
	if len(casts) < shells {
		t.Errorf("%d recordings, want %d at least", len(casts), shells)
	}
}
