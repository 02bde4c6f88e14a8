// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bufio"
	"context"
	"fmt"
	"time"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/recording"
	"github.com/doorward/doorward/proxy/record"
)

// askAgain is how long a session that goes on is not asked for after an answer ended.
const askAgain = time.Second

// follower shows a session while it goes on.
type follower struct {
	player
	out *bufio.Writer
	// draws says that terminals are drawn; wanted is the one, empty for whichever comes.
	draws  bool
	wanted string
	// log is the session's, last the index of the last record that was shown, -1 for none.
	log  string
	last int64
	// ahead are records that no checkpoint covers yet.
	ahead []record.Document
	// terminal is what is drawn at present; nil for none.
	terminal *drawn
	// others are terminals that are not drawn, since another one was.
	others map[string]bool
}

// followed shows the session up to its end. The manager asks from time to time whether the
// reader still may: then it is asked again, and gives it from its beginning.
func (o *options) followed(ctx context.Context, draws bool) (err error) {
	f := &follower{player: player{out: o.Out}, out: bufio.NewWriter(o.Out), draws: draws, wanted: o.wanted, last: -1, others: map[string]bool{}}
	defer func() {
		f.stop()
		if flushed := f.out.Flush(); err == nil {
			err = flushed
		}
	}()
	fmt.Fprintln(o.ErrOut, "following: each record is shown once a checkpoint of the log covers it; leave with Ctrl-C")
	for {
		report, err := f.read(ctx, o)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && f.last >= 0:
			fmt.Fprintln(o.ErrOut, "\nwhat was shown up to now is proven; of what came since:")
			return audit.Unproven(o.ErrOut, err)
		case err != nil:
			return audit.Unproven(o.ErrOut, err)
		case report.Ended:
			f.stop()
			if err := f.out.Flush(); err != nil {
				return err
			}
			recording.PrintSummary(o.ErrOut, report)
			return nil
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// read follows one answer of the manager to its end.
func (f *follower) read(ctx context.Context, o *options) (*recording.Report, error) {
	read, err := o.live(ctx, o.session)
	if err != nil {
		return nil, err
	}
	defer func() { _ = read.Close() }()
	f.ahead = f.ahead[:0]
	last := &recording.Report{}
	err = recording.Follow(read, f.take, func(report *recording.Report) error {
		if err := read.Verify(report); err != nil {
			return err
		}
		if f.log != "" && f.log != report.Log {
			return fmt.Errorf("the session is in log %s now, and was in log %s: follow it anew", audit.Safe(report.Log), audit.Safe(f.log))
		}
		f.log, last = report.Log, report
		return f.show()
	})
	return last, err
}

// take keeps a record until it is proven.
func (f *follower) take(d *record.Document) error {
	if d.Index <= f.last {
		return nil
	}
	if len(f.ahead) == maxEntries {
		return fmt.Errorf("more than %d records come at once: use \"kubectl doorward audit fetch\" and \"audit show\"", maxEntries)
	}
	f.ahead = append(f.ahead, *d)
	return nil
}

// show shows what is proven.
func (f *follower) show() error {
	if len(f.ahead) == 0 {
		return nil
	}
	over := map[string]bool{}
	if f.last < 0 {
		f.began = f.ahead[0].Time
		write(f.out, f.header(f.ahead))
		// A terminal that was closed long ago is not what is followed.
		for i := range f.ahead {
			if d := &f.ahead[i]; d.Type == record.RecordingEnd && d.Recording != nil {
				over[d.Recording.ID] = true
			}
		}
	}
	for i := range f.ahead {
		d := &f.ahead[i]
		f.last = d.Index
		if r := d.Recording; f.draws && r != nil && !over[r.ID] {
			if err := f.part(d); err != nil {
				return err
			}
		} else if f.terminal == nil {
			write(f.out, f.entry(d))
		}
	}
	f.ahead = f.ahead[:0]
	return f.out.Flush()
}

// part draws a part of a terminal, or its end.
func (f *follower) part(d *record.Document) error {
	r := d.Recording
	if f.terminal == nil && d.Type == record.RecordingChunk && r.Sequence == 0 && (f.wanted == "" || f.wanted == r.ID) {
		f.terminal = newDrawn(f, r.ID)
	}
	if f.terminal == nil || f.terminal.id != r.ID {
		if f.others[r.ID] = true; d.Type == record.RecordingEnd {
			delete(f.others, r.ID)
		}
		if f.terminal == nil {
			write(f.out, f.entry(d))
		}
		return nil
	}
	if d.Type == record.RecordingChunk {
		return f.terminal.parts.Part(r)
	}
	err := f.terminal.parts.End(r)
	f.stop()
	return err
}

// stop ends the drawing, and says which other terminals go on.
func (f *follower) stop() {
	if f.terminal == nil {
		return
	}
	f.terminal.shown.end()
	write(f.out, fmt.Sprintf("Terminal %s ends%s.\n", line(f.terminal.id), f.terminal.interrupted()))
	f.terminal = nil
	for id := range f.others {
		write(f.out, fmt.Sprintf("Terminal %s goes on: give --recording %s to follow it.\n", line(id), line(id)))
	}
}
