// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/access"
)

// hold is what is needed to end the wait for an approval.
type hold struct {
	// mu guards the fields below.
	mu     sync.Mutex
	ctx    context.Context //nolint:containedctx // made anew only where it was canceled
	cancel context.CancelFunc
	held   bool

	// What follows belongs to the requests pump: its own context, and what is
	// closed when the client is no longer watched.
	life     context.Context //nolint:containedctx // given by the pair
	watching chan struct{}
}

// holdable is the context of a decision; it ends where the caller cancels.
func (s *session) holdable(ctx context.Context) context.Context {
	h := &s.holding
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx == nil || h.ctx.Err() != nil {
		h.ctx, h.cancel = context.WithCancel(ctx)
	}
	return h.ctx
}

// hold tells the caller that the operation waits, and watches for the caller
// to go away. The requests pump calls it, from within Decide.
func (s *session) hold(notice access.Notice) {
	if s.toTarget.Flush() != nil {
		s.holding.cancel()
		return
	}
	var out []byte
	for _, request := range notice.Requests {
		out = encode(out, heldNotice(request, notice.BreakGlass, time.Now()))
	}
	if s.tell(out) != nil {
		s.holding.cancel()
		return
	}
	h := &s.holding
	h.mu.Lock()
	h.held = true
	h.mu.Unlock()
	h.watching = make(chan struct{})
	go func() {
		defer close(h.watching)
		s.watchClient()
	}()
}

// watchClient ends the hold when the client's stream ends. What the client
// sends meanwhile is buffered and not consumed; once the buffer is full, only
// the end of the session ends the watch.
func (s *session) watchClient() {
	r := s.fromClient
	for r.buffered() < r.limit {
		if err := r.more(r.buffered() + 1); err != nil {
			s.cancelHold()
			return
		}
	}
}

// release ends the watch after a decision.
func (s *session) release() {
	h := &s.holding
	if h.watching == nil {
		return
	}
	h.mu.Lock()
	h.held = false
	h.mu.Unlock()
	_ = s.client.SetReadDeadline(time.Unix(1, 0))
	<-h.watching
	h.watching = nil
	_ = s.client.SetReadDeadline(time.Time{})
	if h.life.Err() != nil {
		// The session ended meanwhile; its deadline stands.
		_ = s.client.SetReadDeadline(time.Unix(1, 0))
	}
}

// cancelHold ends the wait of a held operation; false where none is held.
func (s *session) cancelHold() bool {
	h := &s.holding
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held {
		h.cancel()
	}
	return h.held
}

// heldNotice tells how to approve, and how to go ahead without where the caller may.
func heldNotice(r access.Request, breakGlass string, now time.Time) *pgproto3.NoticeResponse {
	left := r.ExpiresAt.Sub(now).Round(time.Second)
	hint := "An approver runs: " + approveCommand(r)
	if breakGlass != "" {
		hint += "\nIf it cannot wait, go ahead without, to be reviewed afterwards; then run the statement again: " + breakGlass
	}
	return &pgproto3.NoticeResponse{
		Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "01000",
		Message: fmt.Sprintf("this statement waits for approval until %s (%s): ApprovalRequest %q", r.ExpiresAt.UTC().Format(time.RFC3339), left, r.Name),
		Detail:  "Operation digest " + r.Digest + ". Cancel the statement to withdraw the request.",
		Hint:    hint,
	}
}

// approveCommand is the patch that approves one request, for a POSIX shell.
func approveCommand(r access.Request) string {
	return fmt.Sprintf(`kubectl -n %s patch approvalrequest %s --type=json -p '[{"op":"test","path":"/metadata/uid","value":%q},`+
		`{"op":"add","path":"/spec/decisions/-","value":{"verdict":"Approve","operationDigest":%q}}]'`, r.Namespace, r.Name, r.UID, r.Digest)
}
