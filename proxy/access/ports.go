// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Approvals asks people. Its implementation talks to the API server.
type Approvals interface {
	// Ask creates the request for a held operation.
	Ask(ctx context.Context, question Question) (Pending, error)
}

// Question is everything an approver, and admission, must know.
type Question struct {
	Connection snapshot.Connection
	Session    string
	Requester  identity.Principal
	Operation  record.Operation
	// Parameters are the bound parameters as an approver reads them; empty where
	// there are none.
	Parameters string
	// Rules are the RequireApproval rules; they bind the approval to their generations.
	Rules []policy.RuleRef
	// Terms are those of the rules; each entry must be met.
	Terms []policy.ApprovalTerms
	// Nonce is drawn for this one held operation and lives in memory only; the
	// request carries its digest.
	Nonce [32]byte
	// ExpiresAt is the earliest end among the terms.
	ExpiresAt time.Time
}

// Pending is one request that waits for a decision.
type Pending interface {
	Request() Request
	// Wait returns when the request is decided or the context ends.
	Wait(ctx context.Context) (Outcome, error)
	// Use marks the approval used, exactly once. Only after nil may the
	// operation be forwarded.
	Use(ctx context.Context) error
	// Withdraw says that the held operation is gone. It does not block for long
	// and tolerates an API server that is away.
	Withdraw(reason string)
}

// Request names an ApprovalRequest as its approver needs it.
type Request struct {
	Namespace string
	Name      string
	UID       string
	Digest    string
	ExpiresAt time.Time
}

// Outcome is what came of a request. State is Approved, Denied, Expired, Stale or Void.
type Outcome struct {
	State     string
	Approvers []string
	Message   string
}

// OverError is the error of a Use that came too late: the request was approved,
// and something else became of it since.
type OverError struct{ Outcome Outcome }

// Error says what became of it.
func (e *OverError) Error() string {
	return fmt.Sprintf("the request is not approved any more: it became %s", e.Outcome.State)
}

// The states of an Outcome.
const (
	Approved = "Approved"
	Denied   = "Denied"
	Expired  = "Expired"
	Stale    = "Stale"
	Void     = "Void"
)

// Dialer reaches the target and finds its credential.
type Dialer interface {
	// Dial connects to the first of the snapshot's targets that answers, and
	// returns the credential that may be sent to this very address.
	Dial(ctx context.Context, s *snapshot.Snapshot) (Upstream, error)
}

// Upstream is a connection to the target, before the protocol's own handshake.
type Upstream struct {
	Conn   net.Conn
	Target snapshot.Target
	// Credential is what the proxy proves itself with there.
	Credential TargetCredential
}

// TargetCredential is what the proxy proves itself with at the target.
type TargetCredential interface {
	Username() string
	// Password is for the handshake only: never log, record or return it. It may
	// be empty where there is a Certificate.
	Password() string
	// Certificate is the client certificate with its private key, for the
	// handshake only; nil where there is none.
	Certificate() *tls.Certificate
	// SSHSigner proves the proxy in the handshake of one SSH login; nil, without
	// an error, where the credential is none for SSH. Call Grant.SSHSigner.
	SSHSigner(ctx context.Context, login SSHLogin) (ssh.Signer, error)
}
