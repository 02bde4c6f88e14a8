// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/sharing"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// Entry is one accepted connection, of whom nothing is known yet.
type Entry struct {
	gate   *Gate
	client string
	// accepted and steps are what observers are told.
	accepted time.Time
	steps    []Step
	// unshaken says that observers know of a failed TLS handshake.
	unshaken bool
	// certificate is what the client has shown in its TLS handshake; nil for nothing.
	certificate *identity.Credential
	// granted is called with each session that the entry has led to.
	granted func(*Grant)
	// offered are the gates that the client may be led to, others the entries there that it
	// was led to, and routed is the last of these; nil for this one.
	offered []*Gate
	others  []*Entry
	routed  *Entry
	// listener is the Connection at whose address the client came, as namespace/name; empty
	// for this entry's own.
	listener string
}

// OnGrant has f called with each session that the entry leads to, before the
// protocol gets it: the server then knows that the client is proven, and can
// close what a protocol leaves open. Set it before the entry is used.
func (e *Entry) OnGrant(f func(*Grant)) { e.granted = f }

// StartTLS takes the client's TLS handshake with the Connection's serving
// certificate. A client that names protocols (ALPN) must name one of those
// given. Credentials may be asked for only on what it returns; one may be there
// already, see AuthenticateCertificate.
func (e *Entry) StartTLS(ctx context.Context, conn net.Conn, protocols ...string) (*tls.Conn, error) {
	began := time.Now()
	bounded := &handshake{Conn: conn, left: handshakeBytes}
	secured := tls.Server(bounded, e.gate.serving(protocols))
	err := secured.HandshakeContext(ctx)
	e.step(StepTLS, began, err)
	if err != nil {
		e.turnedAway(ReasonHandshake)
		e.unshaken = true
		return nil, fmt.Errorf("TLS handshake with %s failed: %w", e.client, err)
	}
	bounded.over = true
	e.shown(secured)
	return secured, nil
}

// Issuer is one that the Connection takes tokens of.
type Issuer struct {
	// Name is the IdentityProvider's.
	Name string
	// URL is the issuer identifier.
	URL string
}

// Issuers are those whose tokens the Connection takes; what they are called is
// no secret.
func (e *Entry) Issuers() []Issuer {
	st := e.gate.state.Load()
	if st == nil {
		return nil
	}
	var issuers []Issuer
	for _, provider := range st.snapshot.IdentityProviders {
		if provider.OIDC != nil {
			issuers = append(issuers, Issuer{Name: provider.Name, URL: provider.OIDC.IssuerURL})
		}
	}
	return issuers
}

// Options are the Connection's spec.options in force, validated when the
// snapshot was compiled.
func (e *Entry) Options() json.RawMessage {
	if st := e.gate.state.Load(); st != nil {
		return st.snapshot.Options
	}
	return nil
}

// Connection names the Connection this entry leads to.
func (e *Entry) Connection() (namespace, name string) {
	return e.gate.config.Connection.Namespace, e.gate.config.Connection.Name
}

// Reject puts on record that the client was turned away before it could be
// proven: a protocol violation, a refused startup parameter.
func (e *Entry) Reject(ctx context.Context, reason string) error {
	if !e.unshaken { // one client is one that was turned away
		e.turnedAway(ReasonHandshake)
	}
	return e.unproven(ctx, reason, ReasonHandshake)
}

// unproven puts on record that nobody was proven.
func (e *Entry) unproven(ctx context.Context, reason string, code Reason) error {
	return e.recordFailure(ctx, record.Event{Type: record.AuthenticationFailed, Reason: reason, ReasonCode: code})
}

// host is the client's, without its port.
func (e *Entry) host() string {
	if host, _, err := net.SplitHostPort(e.client); err == nil {
		return host
	}
	return e.client
}

// Authenticate proves the caller. A failure is on record before it returns.
func (e *Entry) Authenticate(ctx context.Context, credential identity.Credential) (_ *Caller, err error) {
	began := time.Now()
	defer func() {
		if errors.Is(err, identity.ErrForeign) {
			return // nothing was tried
		}
		e.gate.tell(err)
		e.step(StepAuthenticate, began, err)
		if err != nil {
			e.turnedAway(AsRefusal(err).Reason)
		}
	}()
	st, err := e.gate.admit()
	if err != nil {
		refusal := AsRefusal(err)
		return nil, errors.Join(err, e.unproven(ctx, refusal.Message, refusal.Reason))
	}
	principal, err := st.verifier.Verify(identity.WithClient(ctx, e.host()), credential)
	if errors.Is(err, identity.ErrForeign) {
		return nil, err
	}
	if err != nil {
		refusal := &Refusal{
			Reason: ReasonCredential, Message: "the token was not accepted: " + err.Error(),
			Hint: "Get a new token from your identity provider and give it as the password.", cause: err,
		}
		if form, remedy := certificateForm(credential); form != "" {
			refusal.Message = "the " + form + " was not accepted: " + err.Error()
			refusal.Hint = "Without the " + form + " you are asked for a token."
			if st.snapshot.Login.Closed == "" { // else another is no better
				refusal.Hint = "Get a new one: " + remedy + ". " + refusal.Hint
			}
		}
		if !errors.Is(err, identity.ErrRejected) {
			// The cause may name the inside of the network; nobody is proven yet.
			refusal = unavailable("the token could not be checked",
				"Try again; if it lasts: kubectl get identityproviders", err)
		}
		if err := e.unproven(ctx, refusal.withCause(), refusal.Reason); err != nil {
			return nil, err
		}
		return nil, refusal
	}
	caller := &Caller{entry: e, principal: principal, proven: st, credential: credential}
	if err := caller.note(ctx); err != nil {
		return nil, err
	}
	return caller, nil
}

// certificateForm is what a refused certificate is called, and how to get another; empty
// for a token.
func certificateForm(credential identity.Credential) (form, remedy string) {
	switch {
	case credential.Certificate() != nil:
		return "client certificate", "kubectl doorward login"
	case credential.SSHPublicKey() != nil:
		return "SSH certificate", "kubectl doorward login --ssh-key FILE"
	}
	return "", ""
}

func (e *Entry) recordFailure(ctx context.Context, event record.Event) error {
	event.ClientAddress = e.client
	event.Connection = recordConnection(e.gate.config.Connection)
	event.Attributes = append(event.Attributes, e.arrival()...)
	if st := e.gate.state.Load(); st != nil {
		event.Connection, event.Revision = recordConnection(st.snapshot.Connection), st.snapshot.Revision
	}
	if _, err := e.gate.config.Log.Append(ctx, event); err != nil {
		return e.gate.unrecorded("the record could not be written, so nothing may pass", err)
	}
	return nil
}

// attributeTargetRole is the attribute of a session's start that names the role
// at the target; attributeEndsAt says when one ends that may outlive the caller's token.
const (
	attributeTargetRole = "targetRole"
	attributeEndsAt     = "endsAt"
)

// Caller is a proven caller.
type Caller struct {
	entry     *Entry
	principal identity.Principal
	// credential is what he proved it with.
	credential identity.Credential
	// proven is the state that he was proven under.
	proven *state
	// visit is his use of the credential.
	visit *sharing.Visit
	// standing is what the policies make of him under the circumstances; Authorize.
	standing policy.Standing
	at       policy.Circumstances
}

// Principal says who the caller is.
func (c *Caller) Principal() identity.Principal { return c.principal }

// Authorize opens a session: the caller must have some right on the Connection,
// and the session start is on record before the Grant exists. Attributes are
// recorded with it. The Grant must be ended.
func (c *Caller) Authorize(ctx context.Context, attributes ...record.Attribute) (_ *Grant, err error) {
	gate := c.entry.gate
	began := time.Now()
	defer func() {
		gate.tell(err)
		if err != nil {
			c.entry.step(StepAuthorize, began, err)
			c.entry.turnedAway(AsRefusal(err).Reason)
		}
	}()
	st, err := gate.admit()
	if err != nil {
		return nil, c.refuse(ctx, AsRefusal(err), nil)
	}
	if err := c.stillProven(st); err != nil {
		return nil, c.refuse(ctx, AsRefusal(err), nil)
	}
	decision, err := policy.Decision{}, error(nil)
	c.at = c.circumstances(time.Now())
	if c.standing, err = st.engine.Standing(ctx, c.principal, c.at); err == nil {
		decision, err = c.standing.Connect(ctx)
	}
	if err != nil {
		return nil, c.refuse(ctx, undecided("the policies could not be evaluated", err), nil)
	}
	if decision.Effect == policy.Deny {
		st.audits.connect(&decision)
		return nil, c.refuse(ctx, c.notAllowed(st, decision), wouldConnect(&decision))
	}
	grant, err := newGrant(gate, st, c)
	if err != nil {
		return nil, c.refuse(ctx, AsRefusal(err), nil)
	}
	event := grant.event(record.SessionStart, grant.unmasked, 0, nil)
	event.Attributes = slices.Concat(attributes, c.entry.arrival())
	if grant.role != "" {
		event.Attributes = append(event.Attributes, record.Attribute{Name: attributeTargetRole, Value: grant.role})
	}
	if end := grant.outlivesUntil(); !end.IsZero() {
		event.Attributes = append(event.Attributes, record.Attribute{Name: attributeEndsAt, Value: end.UTC().Format(time.RFC3339)})
	}
	event.Decision = &record.Decision{Effect: decision.Effect, Rules: decision.Rules, Cause: decision.Cause, Audit: wouldConnect(&decision)}
	st.audits.connect(&decision)
	event.Durability = record.Durability(st.snapshot.Audit.Durability)
	if _, err := gate.config.Log.Append(ctx, event); err != nil {
		grant.discard()
		return nil, gate.unrecorded("the record could not be written, so no session may start", err)
	}
	finding := c.visit.Open(grant.id)
	grant.begun.Store(true)
	if err := c.found(ctx, finding); err != nil {
		grant.Close(AsRefusal(err).Message)
		return nil, err
	}
	// The snapshot may have changed between the decision and the registration, or the
	// credential been found shared.
	if gate.state.Load() != st || c.at.SharedCredential != c.visit.Shared() {
		gate.judgeLate(ctx, grant)
	}
	if refusal := grant.ended(); refusal != nil {
		grant.Close(refusal.Message)
		return nil, refusal
	}
	if c.visit.Shared() && !grant.toldShared.Load() {
		grant.recordShared(&sharing.Finding{Proof: c.principal.ProofID, Networks: c.visit.Networks(), Sessions: []string{grant.id}})
	}
	c.entry.step(StepAuthorize, began, nil)
	grant.reprove(c.credential)
	grant.watch(c.entry)
	if c.entry.granted != nil {
		c.entry.granted(grant)
	}
	return grant, nil
}

// stillProven refuses a caller whose proof has changed since he was proven, before there
// is a session that could be ended for it.
func (c *Caller) stillProven(now *state) error {
	if now == c.proven {
		return nil
	}
	if err := proves(c.proven.snapshot, now.snapshot, &c.principal); err != nil {
		return &Refusal{Reason: ReasonCredential, Message: err.Error(), Hint: "Connect again.", cause: err}
	}
	return nil
}

func (c *Caller) notAllowed(st *state, decision policy.Decision) *Refusal {
	reason, conditions := ReasonNotAllowed, st.conditions()
	if len(decision.Rules) > 0 {
		reason, conditions = ReasonDenied, ""
	}
	connection := c.entry.gate.config.Connection
	message := fmt.Sprintf("%s (groups: %s) may not use connection %q", c.principal.UserName, groups(c.principal), connection.Name)
	if decision.Message != "" {
		message += ": " + decision.Message
	}
	return &Refusal{
		Reason: reason, Message: message, Rules: decision.Rules,
		Hint:    fmt.Sprintf("Ask an admin for an AccessPolicy that names you: kubectl -n %s get accesspolicies", connection.Namespace) + conditions,
		because: decision.Cause,
	}
}

func (c *Caller) refuse(ctx context.Context, refusal *Refusal, audit *record.Would) error {
	if err := c.entry.recordFailure(ctx, record.Event{
		Type: record.SessionRefused, Actor: &c.principal, Reason: refusal.Message, ReasonCode: refusal.Reason, Decision: refusal.decision(audit),
	}); err != nil {
		return err
	}
	return refusal
}

// noRole refuses a session whose role at the target is not certain.
func (c *Caller) noRole(cause error) *Refusal {
	connection := c.entry.gate.config.Connection
	refusal := &Refusal{
		Reason:  ReasonTargetRole,
		Message: fmt.Sprintf("%s may not use connection %q: %v", c.principal.UserName, connection.Name, cause),
		Hint:    fmt.Sprintf("Ask an admin to leave one spec.targetRole for you: kubectl -n %s get accesspolicies", connection.Namespace),
	}
	if conflict := (*policy.ConflictError)(nil); errors.As(cause, &conflict) {
		for _, role := range conflict.Roles {
			refusal.Rules = append(refusal.Rules, role.Policy)
		}
		return refusal
	}
	return unavailable("the role at the target could not be found out", "Ask the operators to look at the proxy's log.", cause)
}

func groups(p identity.Principal) string {
	if len(p.Groups) == 0 {
		return "none"
	}
	return strings.Join(p.Groups, ", ")
}

// newSessionID makes a name fit for an AuditSession object: the Connection's, the
// tag of the proxy instance, and ten characters of chance.
func newSessionID(connection, tag string) string {
	if len(connection) > 200 {
		connection = connection[:200]
	}
	return connection + "-" + tag + randomText(10)
}

// TagAlphabet are the characters of session names: no vowels, so that they make
// no words. A tag has TagLength of them.
const (
	TagAlphabet = "bcdfghjklmnpqrstvwxz0123456789"
	TagLength   = 6
)

// randomText returns n random characters of TagAlphabet.
func randomText(n int) string {
	random := make([]byte, n)
	// crypto/rand.Read never fails on supported platforms (Go 1.24).
	_, _ = rand.Read(random)
	for i, b := range random {
		random[i] = TagAlphabet[int(b)%len(TagAlphabet)]
	}
	return string(random)
}
