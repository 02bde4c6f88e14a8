// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/record"
)

// exitWatch waits for what the target says of a program's end.
type exitWatch struct {
	run    *run
	output <-chan struct{}
	came   *atomic.Int64

	mu   sync.Mutex // guards last
	last *record.Exit
}

func (w *exitWatch) exit() *record.Exit {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// follow passes on what the target requests until it closes the channel. It answers at once: a
// target that waits for an answer on one channel is heard on none.
func (w *exitWatch) follow(requests <-chan *ssh.Request) {
	var telling sync.WaitGroup
	defer telling.Wait()
	for request := range requests {
		switch request.Type {
		case requestStatus, requestKilled:
			payload, err := w.ended(request)
			_ = request.Reply(err == nil, nil)
			if err == nil {
				telling.Go(func() { w.tell(request.Type, payload) })
			}
		case requestNoOutput, requestXonXoff:
			if len(request.Payload) <= 1 && (request.Type == requestXonXoff || w.run.caller.knowsOpenSSH()) {
				_, _ = w.run.channel.SendRequest(request.Type, false, request.Payload)
			}
			_ = request.Reply(true, nil)
		default: // signs of life among them
			_ = request.Reply(false, nil)
		}
	}
}

// ended takes the target's word for how the program ended, the first, and returns what of it
// the client is told.
func (w *exitWatch) ended(request *ssh.Request) (payload []byte, err error) {
	var e record.Exit
	if request.Type == requestStatus {
		m, err := read[statusMessage](request.Payload)
		if err != nil {
			return nil, err
		}
		e.Status, payload = m.Status, request.Payload
	} else {
		m, err := read[killedMessage](request.Payload)
		if err != nil || !isWord(m.Signal) {
			return nil, errMessage
		}
		e.Signal, e.CoreDumped = m.Signal, m.Dumped
		// Clients show the message beside what programs say, as their own word.
		payload = ssh.Marshal(killedMessage{Signal: m.Signal, Dumped: m.Dumped, Message: plain(m.Message)})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last != nil {
		return nil, errMessage
	}
	w.last = &e
	w.run.exiting.Store(true)
	return payload, nil
}

// tell says to the client how the program ended, after what it said before.
func (w *exitWatch) tell(kind string, payload []byte) {
	for !within(w.output, quiet) {
		if time.Since(time.Unix(0, w.came.Load())) >= quiet {
			break
		}
	}
	if w.run.isEnded() || w.run.refused() != nil {
		return // that it ended well is not what came of it
	}
	_, _ = w.run.channel.SendRequest(kind, false, payload)
}
