// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recordings serves the recordings of sessions to those whom RBAC lets get
// auditsessions/recording: HTTPS on a port of the manager, on every replica.
//
// A reader is proven by TokenReview and permitted by SubjectAccessReview. The bytes come
// from the proxy that has the session's log, over a connection on which both sides are
// proven, and are kept nowhere. That proxy puts the reading on record, under the
// reader's name, before it gives the first byte; it also puts refused readings on record.
package recordings

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/proxy/pace"
)

// Paces. Each token that is tried costs the API server a review, each proven reader's
// request a record of a proxy.
const (
	triesPerSecond, triesBurst       = 5, 30 // of one address
	allTriesPerSecond, allTriesBurst = 20, 60
	readsPerSecond, readsBurst       = 1, 20 // of one reader
	refusalsPerSecond, refusalsBurst = 1, 30 // of all readers, on record
	mostKept                         = 4096
	// mostReadings go on at a time.
	mostReadings = 16
)

// Outcomes of requests, for the metric.
const (
	unproven    = "Unproven"
	refused     = "Refused"
	tooMany     = "TooMany"
	absent      = "NotFound"
	unavailable = "Unavailable"
	broken      = "Broken"
	served      = "Served"
)

// Outcomes are what requests come to.
func Outcomes() []string {
	return []string{served, broken, refused, absent, unproven, tooMany, unavailable}
}

// Options of a Handler. All but Counted are needed.
type Options struct {
	// Reader reads AuditSessions, Connections, LogSinks, ConfigMaps and Secrets, from the
	// API server itself.
	Reader client.Reader
	// Reviews creates TokenReviews and SubjectAccessReviews.
	Reviews client.Client
	// Proxies gives recordings.
	Proxies *Proxies
	Logger  logr.Logger
	// Counted is told the outcome of each request.
	Counted func(outcome string)
}

// Handler answers readers.
type Handler struct {
	options  Options
	tries    *tries
	readers  readers
	reads    *pace.Paces[string]
	refusals *rate.Limiter
	readings chan struct{}
	// unrecorded counts refusals that no record tells of yet.
	unrecorded atomic.Int64
}

// NewHandler makes a Handler.
func NewHandler(options Options) *Handler {
	if options.Counted == nil {
		options.Counted = func(string) {}
	}
	return &Handler{
		options: options,
		tries:   newTries(),
		reads:   pace.New[string](readsPerSecond, readsBurst, mostKept), refusals: rate.NewLimiter(refusalsPerSecond, refusalsBurst),
		readings: make(chan struct{}, mostReadings),
	}
}

// fault is why there is no recording, as the reader is told.
type fault struct {
	code                     int
	reason, message, outcome string
}

// ServeHTTP answers one request. Nothing is sent that lets a page of another origin
// read the answer, and no redirect.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	f := h.answer(w, r)
	if f == nil {
		return
	}
	h.options.Counted(f.outcome)
	switch f.code {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="doorward"`)
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodGet)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set("Retry-After", "2")
	}
	body, err := json.Marshal(status(f))
	if err != nil {
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to break off
	}
	header.Set("Content-Type", "application/json")
	w.WriteHeader(f.code)
	_, _ = w.Write(body) // the reader may have left
}

// answer proves the reader, asks whether they may, and has the proxy put that on record,
// in this order. Who may not read it is told the same of a session that is there and of one
// that is not, but not after the same time.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) *fault {
	what, f := targetOf(r)
	if f != nil {
		return f
	}
	// The request has come. What is read from now on is only whether the reader is there.
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
		return &fault{http.StatusInternalServerError, "InternalError", "the connection cannot be kept", unavailable}
	}
	token, f := bearer(r)
	if f != nil {
		return f
	}
	now := time.Now()
	try, may := h.tries.begin(pace.HostOf(r.RemoteAddr), token, now)
	if !may {
		return &fault{http.StatusTooManyRequests, "TooManyRequests", "too many requests: try again", tooMany}
	}
	who, f := h.prove(r.Context(), token)
	h.tries.end(try, f == nil, time.Now())
	if f != nil {
		return f
	}
	if !h.reads.Allow(who.Username, now) {
		h.unrecorded.Add(1)
		return &fault{http.StatusTooManyRequests, "TooManyRequests", fmt.Sprintf("you ask too often: %d recording a second", readsPerSecond), tooMany}
	}
	allowed, reason, f := h.permit(r.Context(), who, what)
	if f != nil {
		return f
	}
	asked := asking{target: what, who: who, client: r.RemoteAddr, allowed: allowed, reason: reason}
	if !allowed {
		h.recordRefusal(r.Context(), &asked)
		return forbidden(who, what)
	}
	if !h.readers.enter(who.Username) {
		return &fault{http.StatusTooManyRequests, "TooManyRequests", fmt.Sprintf("you are reading %d recordings at this time: wait for one to end", mostOfReader), tooMany}
	}
	defer h.readers.leave(who.Username)
	select {
	case h.readings <- struct{}{}:
		defer func() { <-h.readings }()
	default:
		return &fault{http.StatusServiceUnavailable, "TooManyRequests", fmt.Sprintf("%d recordings are being read: try again", mostReadings), unavailable}
	}
	place, f := h.find(r.Context(), what)
	if f != nil {
		return f
	}
	return h.relay(w, r, &asked, place)
}

// asking is a proven reader's request, and what was decided.
type asking struct {
	target
	who     *authenticationv1.UserInfo
	client  string
	allowed bool
	reason  string
}

// recordRefusal has the proxy put a refusal on record where it can. One that no record
// tells of is in the manager's log, and is counted by the next record.
func (h *Handler) recordRefusal(ctx context.Context, asked *asking) {
	told := func(why string) {
		h.unrecorded.Add(1)
		h.options.Logger.Info("A reader of a recording was refused, which is on no record", "reader", asked.who.Username,
			"namespace", asked.namespace, "AuditSession", asked.name, "client", asked.client, "reason", why)
	}
	if !h.refusals.Allow() {
		h.unrecorded.Add(1)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askBound)
	defer cancel()
	place, f := h.find(ctx, asked.target)
	if f != nil {
		told(f.message)
		return
	}
	if err := h.refuse(ctx, asked, place); err != nil {
		told(err.Error())
	}
}
