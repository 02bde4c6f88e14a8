// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/proxy/record"
)

// player writes a transcript. Whatever records hold is neutralised on its way: files that
// were changed may draw on a terminal.
type player struct {
	out io.Writer
	// wait says whether entries come at their pace: speed times as fast, most at the most.
	wait  bool
	speed float64
	most  time.Duration

	began time.Time
}

func (p *player) play(ctx context.Context, entries []record.Document, from time.Duration) error {
	p.began = entries[0].Time
	out := bufio.NewWriter(p.out)
	write(out, p.header(entries))
	last, begun := p.began, false
	for i := range entries {
		d := &entries[i]
		if d.Time.Sub(p.began) < from {
			last = d.Time
			continue
		}
		text := p.entry(d)
		if text == "" {
			continue
		}
		// What was passed over is not waited for.
		if begun || from == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
			if err := p.pause(ctx, d.Time.Sub(last)); err != nil {
				return err
			}
		}
		begun, last = true, d.Time
		write(out, text)
	}
	if !begun {
		write(out, fmt.Sprintf("Nothing happened after %s: the session's last entry is at %s.\n", from, offset(entries[len(entries)-1].Time.Sub(p.began))))
	}
	return out.Flush()
}

func write(out *bufio.Writer, text string) { _, _ = out.WriteString(text) } // Flush has the error

func (p *player) pause(ctx context.Context, happened time.Duration) error {
	if !p.wait || happened <= 0 {
		return nil
	}
	timer := time.NewTimer(min(time.Duration(float64(happened)/p.speed), p.most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// header says who it was, as the first record has it that names anybody.
func (p *player) header(entries []record.Document) string {
	var b strings.Builder
	d, named := &entries[0], &entries[0]
	for i := range entries {
		if entries[i].Actor != nil {
			named = &entries[i]
			break
		}
	}
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-12s%s\n", name, line(value))
		}
	}
	field("Session", d.Session)
	if c := d.Connection; c != nil {
		field("Connection", c.Namespace+"/"+c.Name)
	}
	if a := named.Actor; a != nil {
		field("Who", who(a))
		field("Issuer", a.Issuer)
		field("Groups", strings.Join(a.Groups, ", "))
		for i := range a.Delegation {
			field("Acting", who(&a.Delegation[i]))
		}
	}
	field("From", d.ClientAddress)
	field("Began", d.Time.UTC().Format(time.RFC3339Nano))
	if d.Type != record.SessionStart {
		b.WriteString("The session's start is not among these records.\n")
	}
	b.WriteString("\n")
	return b.String()
}

func who(a *record.ActorDocument) string {
	name := first(a.UserName, a.KubernetesUser, a.Subject)
	var more []string
	if a.Kind != "" {
		more = append(more, a.Kind)
	}
	if a.Subject != "" && a.Subject != name {
		more = append(more, a.Subject)
	}
	if len(more) > 0 {
		name += " (" + strings.Join(more, ", ") + ")"
	}
	return name
}

// entry is what a record comes to; empty where it is nothing to be seen.
func (p *player) entry(d *record.Document) string {
	var b strings.Builder
	at := offset(d.Time.Sub(p.began))
	number := ""
	if d.OperationID != 0 {
		number = fmt.Sprintf(" #%d", d.OperationID)
	}
	say := func(format string, args ...any) {
		fmt.Fprintf(&b, "%s%s  %s\n", at, number, line(fmt.Sprintf(format, args...)))
	}
	switch d.Type {
	case record.SessionStart:
		say("session begins%s", attributes(d))
	case record.SessionEnd:
		say("session ends%s%s%s", because(d), approvals(d), attributes(d))
	case record.SessionRefused, record.AuthenticationFailed:
		say("refused%s", because(d))
	case record.OperationDecided, record.OperationHeld:
		say("%s", verdict(d))
		b.WriteString(statement(d))
	case record.OperationResult:
		say("%s", result(d))
		b.WriteString(transfers(d))
	case record.RecordingChunk, record.Checkpoint:
		return ""
	case record.RecordingEnd:
		if d.Recording != nil {
			say("a terminal was recorded as %s: run \"kubectl doorward audit export\"", d.Recording.ID)
		}
	default:
		say("%s%s%s", string(d.Type), because(d), attributes(d))
	}
	return b.String()
}

// offset is a time since the session's beginning: h:mm:ss.mmm.
func offset(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	d = d.Round(time.Millisecond)
	return fmt.Sprintf("%s%d:%02d:%02d.%03d", sign, int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60, d.Milliseconds()%1000)
}

// line is a text on one line that draws nothing.
func line(text string) string { return audit.Safe(strings.Join(strings.Fields(text), " ")) }

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return "-"
}
