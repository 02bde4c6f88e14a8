// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"time"

	"github.com/doorward/doorward/proxy/record/cast"
)

// drawn is a terminal that is drawn as its parts come. They are written to it.
type drawn struct {
	id       string
	to       *follower
	parts    *cast.Assembler
	shown    *screen
	isHeaded bool
}

func newDrawn(to *follower, id string) *drawn {
	t := &drawn{id: id, to: to, shown: newScreen(to.out)}
	t.parts = cast.NewAssembler(id, t)
	return t
}

// Write draws a part, which holds whole lines.
func (t *drawn) Write(part []byte) (int, error) {
	for line := range bytes.Lines(part) {
		if !t.isHeaded {
			header, err := headerOf(line)
			if err != nil {
				return 0, err
			}
			t.isHeaded = true
			write(t.to.out, header.opening(t.id, time.Unix(header.Timestamp, 0).Sub(t.to.began.Truncate(time.Second))))
			continue
		}
		_, kind, text, err := event(line)
		if err != nil {
			return 0, err
		}
		if kind == "o" {
			t.shown.show(text)
		}
	}
	return len(part), nil
}

func (t *drawn) interrupted() string {
	if t.parts.Ended() {
		return ""
	}
	return " here: it goes on, or was interrupted"
}
