// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package review

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/review/wire"
)

// exchange is one question and its answer.
type exchange struct {
	handler *Handler
	entry   *access.Entry
	// asked says that a request came that could be read.
	asked atomic.Bool
	// err and panicked are for the server; read after the exchange.
	err      error
	panicked any
}

// fault is why there is no answer, as the caller is told.
type fault struct {
	code            int
	reason, message string
	outcome         string
}

// ServeHTTP answers. No redirect is ever sent, nor anything that lets a page of another
// origin read the answer.
func (e *exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.asked.Store(true)
	defer func() {
		if value := recover(); value != nil {
			e.panicked = value
			e.refuse(w, &fault{http.StatusInternalServerError, "InternalError", "an internal error kept the question from being answered", "Unavailable"})
		}
	}()
	answer, outcome, f := e.answer(w, r)
	if f != nil {
		e.refuse(w, f)
		return
	}
	e.handler.options.Answered(outcome)
	e.send(w, http.StatusOK, answer)
}

func (e *exchange) refuse(w http.ResponseWriter, f *fault) {
	e.handler.options.Answered(f.outcome)
	switch f.code {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	e.send(w, f.code, wire.Status{TypeMeta: wire.StatusMeta, Status: "Failure", Message: f.message, Reason: f.reason, Code: f.code})
}

func (e *exchange) send(w http.ResponseWriter, code int, answer any) {
	body, err := json.Marshal(answer)
	if err == nil && len(body) > wire.MaxAnswer {
		err = fmt.Errorf("answer has %d bytes", len(body))
	}
	if err != nil {
		e.err, code, body = err, http.StatusInternalServerError, nil
	}
	header := w.Header()
	header.Set("Content-Type", wire.MediaType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// Whoever asked may have left.
	_, _ = w.Write(body)
}

// answer proves the caller, understands the question and asks the road, in this order:
// nobody learns what is wrong with his question before he is proven.
func (e *exchange) answer(w http.ResponseWriter, r *http.Request) (answer any, outcome string, _ *fault) {
	token, f := bearer(r)
	if f != nil {
		if err := e.entry.Reject(context.WithoutCancel(r.Context()), f.message); err != nil {
			f = faultOf(err)
		}
		return nil, "", f
	}
	caller, err := e.entry.Authenticate(r.Context(), identity.BearerToken(token))
	if err != nil {
		return nil, "", faultOf(err)
	}
	who := caller.Principal()
	if !e.handler.paces.Allow(asker{who.Issuer, who.Subject}, time.Now()) {
		return nil, "", &fault{http.StatusTooManyRequests, "TooManyRequests", fmt.Sprintf("you ask too often: %d questions a second are answered", asksPerSecond), "TooMany"}
	}
	question, f := e.read(w, r, caller)
	if f != nil {
		if err := caller.Unanswered(context.WithoutCancel(r.Context()), f.message); err != nil {
			f = faultOf(err)
		}
		return nil, "", f
	}
	found, err := caller.Review(r.Context(), question.operation)
	if err != nil {
		return nil, "", faultOf(err)
	}
	answer, outcome = question.answer(found)
	return answer, outcome, nil
}

// bearer is the token of a request that could be a question. Only one way of giving it
// is looked at: what is in a URL or a cookie ends up in logs, or comes by itself.
func bearer(r *http.Request) (string, *fault) {
	switch {
	case r.Method != http.MethodPost:
		return "", &fault{http.StatusMethodNotAllowed, "MethodNotAllowed", "questions are posted", "Unproven"}
	case r.RequestURI != wire.AccessPath && r.RequestURI != wire.RulesPath:
		return "", &fault{http.StatusNotFound, "NotFound", fmt.Sprintf("questions are posted to %s or %s", wire.AccessPath, wire.RulesPath), "Unproven"}
	}
	given := r.Header.Values("Authorization")
	if len(given) != 1 {
		return "", unproven(fmt.Sprintf("want one header Authorization with a bearer token: %d", len(given)))
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", unproven("want a bearer token in the header Authorization")
	}
	return token, nil
}

func unproven(message string) *fault {
	return &fault{http.StatusUnauthorized, string(access.ReasonCredential), message, "Unproven"}
}

// faultOf is what a refusal of the road comes to here.
func faultOf(err error) *fault {
	refusal := access.AsRefusal(err)
	message := refusal.Message
	if refusal.Hint != "" {
		message += ". " + refusal.Hint
	}
	if refusal.Reason == access.ReasonCredential {
		return unproven(strings.Replace(message, "give it as the password", "give it as the bearer token", 1))
	}
	return &fault{http.StatusServiceUnavailable, string(refusal.Reason), message, "Unavailable"}
}

func invalid(code int, reason, message string) *fault {
	return &fault{code, reason, message, "Invalid"}
}

// body reads the whole question.
func body(w http.ResponseWriter, r *http.Request) ([]byte, *fault) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != wire.MediaType || len(r.Header.Values("Content-Encoding")) > 0 {
		return nil, invalid(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "want Content-Type "+wire.MediaType+" and no Content-Encoding")
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxBody))
	large := &http.MaxBytesError{}
	switch {
	case errors.As(err, &large):
		return nil, invalid(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", fmt.Sprintf("the question has more than %d bytes", wire.MaxBody))
	case err != nil:
		return nil, invalid(http.StatusBadRequest, "BadRequest", "the question did not come as a whole")
	}
	return text, nil
}

// question is what was asked.
type question struct {
	operation  *policy.Operation
	connection wire.Connection
	vocabulary policy.Vocabulary
}
