// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Errors of DeviceLogins, and of Entry.DeviceLogin.
var (
	// ErrNoPortal says that nobody can log in by a browser here: there is no portal, or no
	// provider that people log in to.
	ErrNoPortal = errors.New("there is no login portal for the Connection")
	// ErrLoginPace says that too many logins were begun, or wait.
	ErrLoginPace = errors.New("too many logins by a browser")
	// ErrLoginDenied says that the person, or the portal, has said no. What is wrapped beside
	// it is for the caller.
	ErrLoginDenied = errors.New("the login was not allowed")
	// ErrLoginExpired says that nobody logged in in time.
	ErrLoginExpired = errors.New("nobody has logged in by the link in time")
)

// DeviceLogins begins logins at the manager's login portal for callers who have only a
// terminal and, somewhere, a browser (RFC 8628). Safe for concurrent use.
type DeviceLogins interface {
	// Begin asks the portal for a link. It is bounded in number by where callers are, and in
	// time. Errors are ErrLoginPace, ErrLoginDenied, or that the portal cannot be asked.
	Begin(ctx context.Context, ask DeviceAsking) (DeviceLogin, error)
}

// DeviceAsking is what a login is for.
type DeviceAsking struct {
	Portal snapshot.LoginPortal
	// Connection and Client, an address without its port, are shown to whoever is asked to
	// allow the login, who so tells it from another's.
	Connection snapshot.Connection
	Client     string
}

// DeviceLogin is one login under way. What is not asked of it is gone with it: the device
// code, and the secret that its token is bound to, are known to it alone.
type DeviceLogin interface {
	// Link is the address that a person opens, and UserCode what the page has to show. They
	// may be shown to the caller and to nobody else.
	Link() string
	UserCode() string
	// ExpiresAt is when the link is good no more.
	ExpiresAt() time.Time
	// Wait asks the portal until the person has decided, or the context ends. The credential
	// is good for Entry.Authenticate only; a bearer of its token is nobody. It may be called
	// again only after the context's error.
	Wait(ctx context.Context) (identity.Credential, error)
	// Close gives back what came of the login, when all that rests on it is over: nobody
	// else can use it, and it counts among its owner's credentials. It does not block for
	// long, and tolerates a portal that is away.
	Close()
}

// DeviceLogin begins a login by a browser for the caller. The error is ErrNoPortal where
// nobody logs in so, or a Refusal: the caller may be asked for a token instead. What Wait
// returns is on record where it is a Refusal; it is none where the context ended.
func (e *Entry) DeviceLogin(ctx context.Context) (DeviceLogin, error) {
	st, err := e.gate.admit()
	if err != nil {
		return nil, err
	}
	portal := st.snapshot.Login.Portal
	if portal.URL == "" || e.gate.config.DeviceLogins == nil {
		return nil, ErrNoPortal
	}
	begun, err := e.gate.config.DeviceLogins.Begin(ctx, DeviceAsking{Portal: portal, Connection: st.snapshot.Connection, Client: e.host()})
	if err != nil {
		return nil, e.noLogin(ctx, err)
	}
	return &deviceLogin{DeviceLogin: begun, entry: e}, nil
}

// deviceLogin is a DeviceLogin whose end is on record.
type deviceLogin struct {
	DeviceLogin
	entry *Entry
}

// Wait implements DeviceLogin.
func (d *deviceLogin) Wait(ctx context.Context) (identity.Credential, error) {
	began := time.Now()
	credential, err := d.DeviceLogin.Wait(ctx)
	d.entry.step(StepAuthenticate, began, err)
	if err == nil {
		return credential, nil
	}
	err = d.entry.noLogin(ctx, err)
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		d.entry.turnedAway(refusal.Reason)
		if failed := d.entry.unproven(ctx, refusal.Message, refusal.Reason); failed != nil {
			return identity.Credential{}, failed
		}
	}
	return identity.Credential{}, err
}

// noLogin says in the caller's words why a login by a browser came to nothing. It is the
// context's error where that has ended.
func (e *Entry) noLogin(ctx context.Context, cause error) error {
	const others = "Give a token of your identity provider, or log in with a certificate: kubectl doorward login."
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(cause, ErrLoginExpired):
		return &Refusal{Reason: ReasonCredential, Message: ErrLoginExpired.Error(), Hint: "Connect again for a new link.", cause: cause}
	case errors.Is(cause, ErrLoginDenied):
		return &Refusal{Reason: ReasonCredential, Message: cause.Error(), Hint: "Connect again for a new link. " + others, cause: cause}
	case errors.Is(cause, ErrLoginPace):
		return &Refusal{Reason: ReasonLimit, Message: fmt.Sprintf("%v were begun from your address or wait at this proxy", ErrLoginPace), Hint: "Wait a minute. " + others, cause: cause}
	}
	// The cause may name the inside of the network; nobody is proven yet.
	refusal := unavailable("the login portal cannot be asked", others, cause)
	e.gate.tell(refusal)
	return refusal
}
