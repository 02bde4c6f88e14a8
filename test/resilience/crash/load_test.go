// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/account"
	"github.com/doorward/doorward/test/load"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// redial is the pause of a client that could not connect.
const redial = 10 * time.Millisecond

// heard is what clients know of the answers they were given, by mark.
type heard struct {
	mu sync.Mutex
	// delivered: something of the target's answer came.
	delivered map[string]bool
	// answered: the target's answer came to its end, without an error.
	answered map[string]bool
	// refusals are the answers of the proxy itself, by their text.
	refusals map[string]*pgconn.PgError
	// sessions is the number of those that were let in.
	sessions int
	// inRow is the number of refusals since something was answered.
	inRow int
}

func newHeard() *heard {
	return &heard{delivered: map[string]bool{}, answered: map[string]bool{}, refusals: map[string]*pgconn.PgError{}}
}

func (h *heard) note(into map[string]bool, marks ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, text := range marks {
		into[text] = true
	}
	h.inRow = 0
}

// counts are the sessions let in and the statements answered so far.
func (h *heard) counts() (sessions, answered int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions, len(h.answered)
}

// copied are what was delivered and what was answered so far.
func (h *heard) copied() (delivered, answered map[string]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.delivered), maps.Clone(h.answered)
}

// fail looks at what a statement or a login failed with.
func (h *heard) fail(err error) {
	var said *pgconn.PgError
	if errors.As(err, &said) && said.Code != divisionByZero {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.refusals[said.Code+" "+said.Message] = said
		h.inRow++
	}
}

// told are the refusals since they were collected anew, in order.
func (h *heard) told() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.refusals))
}

// forget begins to collect refusals anew.
func (h *heard) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refusals, h.inRow = map[string]*pgconn.PgError{}, 0
}

// refused says whether the clients were refused that often, and nothing was
// answered in between; with what they were told.
func (h *heard) refused(times int) (map[string]*pgconn.PgError, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inRow < times {
		return nil, fmt.Errorf("%d refusals in a row, want %d", h.inRow, times)
	}
	return maps.Clone(h.refusals), nil
}

// crowd is several clients that work, and come back whenever they are cut.
type crowd struct {
	heard *heard
	stop  context.CancelFunc
	group sync.WaitGroup
}

// loadOptions say what the clients do.
type loadOptions struct {
	label   string
	proxy   *stack.Proxy
	clients int
	reads   bool
	// padding is added to each statement, in bytes.
	padding int
	seed    uint64
}

// userOf is who the clients of a label are: the target shows it of each session.
func userOf(label string) string { return "loader-" + label }

// startLoad starts clients that work until they are told to stop, or the test ends.
func startLoad(t *testing.T, options loadOptions) *crowd {
	t.Helper()
	config, err := world.Config(options.proxy, issuer.Request{User: userOf(options.label), Groups: []string{load.Group}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &crowd{heard: newHeard(), stop: stop}
	for i := range options.clients {
		w := &worker{
			options: options, heard: l.heard, number: i,
			chance: rand.New(rand.NewPCG(options.seed, uint64(i))),
		}
		l.group.Go(func() { w.run(ctx, config) })
	}
	t.Cleanup(func() {
		l.end()
		if t.Failed() {
			t.Logf("the clients were told %q", l.heard.told())
		}
	})
	return l
}

// end lets the clients leave, and waits for them.
func (l *crowd) end() {
	l.stop()
	l.group.Wait()
}

// worker is one client.
type worker struct {
	options loadOptions
	heard   *heard
	number  int
	made    int
	chance  *rand.Rand
	conn    *pgconn.PgConn
}

func (w *worker) run(ctx context.Context, config *pgconn.Config) {
	tick := time.NewTicker(redial)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := w.session(ctx, config); err != nil && ctx.Err() == nil {
			w.heard.fail(err)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}
}

// session works in one session until it is cut or refused something.
func (w *worker) session(ctx context.Context, config *pgconn.Config) (err error) {
	if w.conn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return err
	}
	w.heard.mu.Lock()
	w.heard.sessions++
	w.heard.mu.Unlock()
	work := writes
	if w.options.reads {
		work = append(work[:len(work):len(work)], readings...)
	}
	for ctx.Err() == nil {
		// A statement under way when the clients are told to leave may end.
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), stacktest.Timeout)
		err = work[w.chance.IntN(len(work))](w, bound)
		cancel()
		if err != nil {
			break
		}
	}
	// A refused statement leaves the session whole: it must end in order.
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = w.conn.Close(bound)
	return err
}

// mark makes a new mark, for a statement that reads or writes.
func (w *worker) mark(kind byte) string {
	w.made++
	return account.Mark(kind, w.options.label, w.number, w.made)
}
