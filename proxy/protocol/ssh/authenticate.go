// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
)

const (
	// loginBound is how long a client may take to prove who its user is, as sshd has it
	// (LoginGraceTime): a token may be pasted by hand. The server's own bound may be less.
	loginBound = 2 * time.Minute
	// maxOffers is how many attempts a client has in all. Keys that are merely offered count,
	// and agents hold many.
	maxOffers = 32
	// maxProofs is how many of them may be tokens, or signatures that were right.
	maxProofs = 6
	// cutToken is the length to which OpenSSH's client cuts what is typed, in bytes.
	cutToken = 1023
)

// sourceAddress is the critical option that the library enforces (OpenSSH, PROTOCOL.certkeys).
const sourceAddress = "source-address"

// callerKey is what the proven caller is called in ssh.Permissions: those of the attempt that
// succeeded are the only place from which he is taken, so that nobody is who only offered a
// key (CVE-2024-45337). The Connection is that of the attempt, too: another may have named
// another.
type callerKey struct{}

// proof is a caller and the entry at which he was proven.
type proof struct {
	caller *access.Caller
	entry  *access.Entry
}

// evenly is the pace of refusals at other Connections than the listener's: a multiple of it passes,
// however long it took to look for the Connection and to ask it.
const evenly = time.Second

// login is one client that proves who its user is. Its methods are called one after the other.
type login struct {
	ctx context.Context //nolint:containedctx // the library's callbacks get none
	// entry is the listener's, which shows the host key. What follows is about the one that the
	// user name of each attempt leads to.
	entry *access.Entry
	// over ends the login.
	over context.CancelCauseFunc
	// present ends when the client is gone, and until is when the login has to be over: for
	// what is waited for while nobody reads. The rest goes on by ctx, to be put on record.
	present context.Context //nolint:containedctx // as above
	until   time.Time

	proofs int
	// links is how often a login by a browser was begun, and linked are those that were; away
	// says that the client left while it was asked.
	links  int
	linked []access.DeviceLogin
	away   bool
	// recorded says that the road has put the last failure on record; refusal is that failure.
	recorded bool
	refusal  *access.Refusal
}

// errAttempts says that a client has tried too often.
var errAttempts = errors.New("too many attempts to log in")

// config is the server's side of the handshake.
func (l *login) config(client string) (*ssh.ServerConfig, error) {
	keys, err := l.entry.HostKeys()
	if err != nil {
		return nil, err
	}
	config := &ssh.ServerConfig{
		Config: callerConfig(client), PublicKeyAuthAlgorithms: signatureAlgorithms, MaxAuthTries: maxOffers, ServerVersion: version,
		PublicKeyCallback: l.offered, VerifiedPublicKeyCallback: l.signed,
		PasswordCallback: l.password, KeyboardInteractiveCallback: l.interactive,
	}
	config.Rand = rand.Reader
	for _, key := range keys {
		config.AddHostKey(key)
	}
	return config, nil
}

// offered is asked about keys that a client may or may not hold: it says whether a signature is
// worth the trouble, and nobody is proven by it.
func (l *login) offered(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	if err := l.named(meta); err != nil {
		return nil, err
	}
	certificate, ok := key.(*ssh.Certificate)
	if !ok {
		return nil, errors.New("keys are taken with a certificate only")
	}
	if certificate.CertType != ssh.UserCert {
		return nil, errors.New("the certificate is not one of a user")
	}
	if certificate.SignatureKey == nil || strings.Contains(certificate.SignatureKey.Type(), "-cert-") {
		return nil, errors.New("the certificate is signed by a certificate")
	}
	if err := strong(certificate.Key); err != nil {
		return nil, err
	}
	// Who reads the certificate knows which of its options are critical; this one is the
	// transport's, and enforced by the library.
	permissions := &ssh.Permissions{}
	if from, restricted := certificate.CriticalOptions[sourceAddress]; restricted {
		permissions.CriticalOptions = map[string]string{sourceAddress: from}
	}
	return permissions, nil
}

// signed is called once the client has signed the session's id with the key.
func (l *login) signed(meta ssh.ConnMetadata, key ssh.PublicKey, permissions *ssh.Permissions, signature string) (*ssh.Permissions, error) {
	if !slices.Contains(signatureAlgorithms, signature) {
		return nil, fmt.Errorf("signatures of %q are not taken", signature)
	}
	return l.prove(meta, permissions, identity.SSHPublicKey(key.Marshal()))
}

// password takes a token as the password.
func (l *login) password(meta ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
	if err := l.named(meta); err != nil {
		return nil, err
	}
	return l.token(meta, string(password))
}

// instruction says what a person is to paste. Whose tokens another Connection takes, it does not
// tell.
func (l *login) instruction(meta ssh.ConnMetadata) string {
	var names []string
	if !l.entry.Elsewhere(parseUser(meta.User()).connection) {
		for _, issuer := range l.entry.Issuers() {
			names = append(names, issuer.URL)
		}
	}
	if len(names) == 0 {
		return "Paste a token of your identity provider."
	}
	return "Paste a token of " + plain(strings.Join(names, " or ")) + "."
}

func (l *login) token(meta ssh.ConnMetadata, token string) (*ssh.Permissions, error) {
	token = strings.TrimSpace(token)
	if token == "" {
		return nil, l.turnAway(&access.Refusal{
			Reason: access.ReasonCredential, Message: "no token was given",
			Hint: "Give a token of your identity provider as the password.",
		}, false)
	}
	permissions, err := l.prove(meta, &ssh.Permissions{}, identity.BearerToken(token))
	if err != nil && len(token) == cutToken {
		return nil, &ssh.BannerError{Err: err, Message: said(l.refusal) +
			"The token has exactly as many characters as ssh takes from a terminal, so it was probably cut. Log in with a certificate instead: kubectl doorward login.\r\n"}
	}
	return permissions, err
}

// prove asks the road. Nothing follows from it until the handshake is finished.
func (l *login) prove(meta ssh.ConnMetadata, permissions *ssh.Permissions, credential identity.Credential) (*ssh.Permissions, error) {
	l.proofs++
	if l.proofs > maxProofs {
		l.over(errAttempts)
		return nil, errAttempts
	}
	began, asked := time.Now(), parseUser(meta.User())
	var caller *access.Caller
	entry, err := l.entry.Route(asked.connection)
	if err == nil {
		caller, err = entry.Authenticate(l.ctx, credential)
	}
	switch {
	case err == nil:
		l.refusal = nil
		permissions.ExtraData = map[any]any{callerKey{}: proof{caller, entry}}
		return permissions, nil
	case l.entry.Elsewhere(asked.connection):
		return nil, l.conceal(began, asked, err)
	case errors.Is(err, identity.ErrForeign):
		return nil, err
	}
	return nil, l.turnAway(access.AsRefusal(err), true)
}

// conceal refuses alike, in words and in time, who names a Connection that is not there and who is
// refused by one that is. The record has the reason.
func (l *login) conceal(began time.Time, asked wish, cause error) error {
	recorded := true
	if errors.Is(cause, access.ErrNoRoute) || errors.Is(cause, identity.ErrForeign) {
		recorded = l.entry.Routed().Reject(context.WithoutCancel(l.ctx), cause.Error()) == nil
	}
	rest := time.NewTimer(evenly - time.Since(began)%evenly)
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-l.ctx.Done():
	}
	return l.turnAway(asked.unproven(), recorded)
}

// named refuses a user name that is none, and has what follows on record where it leads to.
func (l *login) named(meta ssh.ConnMetadata) error {
	asked := parseUser(meta.User())
	_, _ = l.entry.Route(asked.connection) // prove says it to who shows a proof
	if refusal := asked.check(); refusal != nil {
		return l.turnAway(refusal, false)
	}
	return nil
}

// turnAway makes the error of an attempt, which is shown to the user. Only words that were not
// shown before are.
func (l *login) turnAway(refusal *access.Refusal, recorded bool) error {
	shown := l.refusal != nil && l.refusal.Message == refusal.Message
	l.refusal, l.recorded = refusal, recorded
	if shown {
		return refusal
	}
	return &ssh.BannerError{Err: refusal, Message: said(refusal)}
}

// provenCaller is the caller of a finished handshake.
func provenCaller(conn *ssh.ServerConn) (proof, error) {
	if conn.Permissions != nil {
		if proven, ok := conn.Permissions.ExtraData[callerKey{}].(proof); ok && proven.caller != nil {
			return proven, nil
		}
	}
	return proof{}, errors.New("the handshake ended without a proven caller")
}
