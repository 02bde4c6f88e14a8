// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// answerTimeout bounds one operation. redial is the first pause of a client
// that could not connect; it doubles up to maxRedial, as in a well-behaved pool.
const (
	answerTimeout = 60 * time.Second
	redial        = 50 * time.Millisecond
	maxRedial     = time.Second
)

// Options say what the clients do.
type Options struct {
	// Label is in every mark; one load's own.
	Label string
	// Config is how to connect, with a token that holds for some time. It is
	// asked anew at each login of a client, by its number.
	Config func(ctx context.Context, client int) (*pgconn.Config, error)
	// Clients keep a session each; Visitors log in, ask once and leave.
	Clients, Visitors int
	// Interval is the time between two operations of one client, and between
	// two logins of one visitor.
	Interval time.Duration
	// Seed repeats the choice of statements.
	Seed uint64
}

// Load is several clients at work.
type Load struct {
	options Options
	stop    context.CancelFunc
	group   sync.WaitGroup

	mu      sync.Mutex // guards what follows
	heard   heard
	workers []*worker
	// sessions are all there ever were, in the order of their beginnings.
	sessions []*Session
}

// Session is one login that succeeded.
type Session struct {
	// Client is the number of the client, Visitor says whether it is one.
	Client  int
	Visitor bool
	// Name is how the target knows the session: its application_name.
	Name         string
	Began, Ended time.Time
	// Left: the client ended it itself. Otherwise Cause is what ended it.
	Left  bool
	Cause error
	// Operations is the number of those that were answered well.
	Operations int
}

// heard is what the clients were answered, by mark.
type heard struct {
	delivered, answered map[string]bool
	// refused: an error of the proxy or the target, behind which the session
	// went on. doubt: cut before there was an answer.
	refused, doubt map[string]error
	// logins that failed, by what they were told.
	failedLogins map[string]int
}

// Start starts the clients, which work until End.
func Start(ctx context.Context, options Options) *Load {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &Load{options: options, stop: stop, heard: heard{
		delivered: map[string]bool{}, answered: map[string]bool{}, refused: map[string]error{}, doubt: map[string]error{}, failedLogins: map[string]int{},
	}}
	now := time.Now()
	for i := range options.Clients + options.Visitors {
		l.workers = append(l.workers, &worker{
			load: l, number: i, visitor: i >= options.Clients, chance: rand.New(rand.NewPCG(options.Seed, uint64(i))),
			served: now,
		})
	}
	for _, w := range l.workers {
		l.group.Go(func() { w.run(ctx) })
	}
	return l
}

// End lets the clients finish what they do and leave, and waits for them.
func (l *Load) End() {
	l.stop()
	l.group.Wait()
}
