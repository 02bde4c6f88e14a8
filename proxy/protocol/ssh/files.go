// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/ssh/sftp"
)

// files relays an SFTP server: each request is an operation of its own.
func (r *run) files(ctx context.Context, target ssh.Channel, came *atomic.Int64) error {
	// What a server of files says besides is shown as that of any program.
	var stderr sync.WaitGroup
	stderr.Go(func() { r.output(r.errors, target.Stderr(), target, came) })
	var busy atomic.Pointer[func()]
	waits := func(forClient bool) {
		if forClient {
			if done := busy.Swap(nil); done != nil {
				(*done)()
			}
			return
		}
		if busy.Load() == nil {
			done := r.work()
			busy.Store(&done)
		}
	}
	defer waits(true)
	config := sftp.Config{
		Road: &filesRoad{run: r}, Waits: waits,
		Interrupt: func() {
			_ = target.Close()
			_ = r.channel.Close()
		},
	}
	if r.options.SFTPPaths == pathsResolved {
		config.Resolve = func(*sftp.Operation) bool { return true }
	}
	err := sftp.Run(ctx, counted{r.channel, &r.tally.toTarget, &r.tally.toCaller}, target, config)
	_ = target.Close()
	stderr.Wait()
	if ctx.Err() != nil {
		return nil
	}
	if refused := r.refused(); refused != nil {
		return refused
	}
	return err
}

// counted counts what a channel carries.
type counted struct {
	ssh.Channel
	read, written *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Channel.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Channel.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// maxExplained is how many refusals of one SFTP channel are told beside it.
const maxExplained = 16

// filesRoad decides requests of SFTP on the session's road.
type filesRoad struct {
	*run
	// explained counts the refusals that were told beside the channel.
	explained atomic.Int64
}

// Decide implements sftp.Road.
func (f *filesRoad) Decide(ctx context.Context, op *sftp.Operation) (sftp.Permit, error) {
	opens := op.Kind == "open" || op.Kind == "opendir"
	a := asking{
		kind: op.Kind, statement: op.Statement, accesses: op.Accesses, properties: op.Properties,
		readOnly: op.ReadOnly, unmetered: !opens,
		tell: func(text string) {
			op.Held = true
			f.say(text)
		},
		// A file that is only written shows nothing.
		answers: slices.ContainsFunc(op.Accesses, func(x policy.Access) bool {
			return opens && (x.Action == sftp.ActionRead || x.Action == sftp.ActionList)
		}),
	}
	if op.Refuse != nil {
		a.refuse = &access.Refusal{Reason: access.ReasonProtocol, Code: op.Refuse.Status.String(), Message: op.Refuse.Message}
	}
	permit, err := f.decide(ctx, &a)
	if err != nil {
		denied := denial(err)
		// OpenSSH's sftp and scp show the status of an answer and never its message: what stands
		// on standard error they show. What the target says of a path, the status tells.
		var told *sftp.Denied
		if errors.As(denied, &told) && (op.Refuse == nil || op.Refuse.Status == sftp.StatusPermissionDenied) && f.explained.Add(1) <= maxExplained {
			_ = f.explain(ctx, err)
		}
		return nil, denied
	}
	return filePermit{permit}, nil
}

// denial tells what is answered from what ends the session.
func denial(err error) error {
	var refusal *access.Refusal
	if !errors.As(err, &refusal) || refusal.Reason == access.ReasonSessionEnded {
		return err
	}
	return &sftp.Denied{Message: strings.TrimSpace("Doorward: " + refusal.Message + ". " + refusal.Hint)}
}

type filePermit struct {
	*access.Permit
}

// Take implements sftp.Permit.
func (p filePermit) Take(names, bytes int64) error {
	if err := p.Meter().Take(names, bytes); err != nil {
		return denial(err)
	}
	return nil
}

// Done implements sftp.Permit.
func (p filePermit) Done(r sftp.Result) {
	p.Permit.Done(r.Record())
}
