// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
)

const (
	// maxLinks is how many links one connection is given: OpenSSH's client asks three times.
	maxLinks = 3
	// linkMargin is how long before the login's bound it is given up, so that the client is
	// told why.
	linkMargin = 3 * time.Second
	// quietly is how long nothing is said after the answer: who has logged in before is in by
	// then.
	quietly = 2 * time.Second
	// warnBefore is how long before the end it is said that it comes.
	warnBefore = 30 * time.Second
)

// interactive asks a person to log in by a link, or for a token. Pasting is possible either
// way: what is not empty is a token.
func (l *login) interactive(meta ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	if err := l.named(meta); err != nil {
		return nil, err
	}
	permissions, err := l.asked(meta, ask)
	// Who left has tried nothing, whatever was asked of him.
	l.away = err != nil && l.present.Err() != nil
	return permissions, err
}

// asked asks, and proves what is answered.
func (l *login) asked(meta ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
	begun, instead := l.link(parseUser(meta.User()).connection)
	if begun == nil {
		answer, err := one(ask, instead+l.instruction(meta), "Token: ")
		if err != nil {
			return nil, err
		}
		return l.token(meta, answer)
	}
	// The link is in the prompt, since that is all of it that some programs show (SSH_ASKPASS).
	answer, err := one(ask,
		fmt.Sprintf("No token is needed: log in by a browser, within %s. The page has to show the code %s; give the link to nobody.", l.remaining(), plain(begun.UserCode())),
		fmt.Sprintf("Open %s in a browser, log in, and press Enter (or paste a token): ", plain(begun.Link())))
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(answer) != "" {
		return l.token(meta, answer)
	}
	credential, err := l.await(begun, ask)
	if refusal := (*access.Refusal)(nil); errors.As(err, &refusal) {
		return nil, l.turnAway(refusal, true)
	}
	if err != nil {
		return nil, err
	}
	return l.prove(meta, &ssh.Permissions{}, credential)
}

// link begins a login by a browser; nil where there can be none, with the words that say why,
// where somebody could expect one. For another Connection than the listener's there is none:
// it would tell that there is such a Connection.
func (l *login) link(connection string) (begun access.DeviceLogin, instead string) {
	if l.entry.Elsewhere(connection) {
		return nil, ""
	}
	if l.links == maxLinks {
		return nil, "No further link is given in this connection: connect again for one.\r\n"
	}
	begun, err := l.entry.DeviceLogin(l.present)
	if errors.Is(err, access.ErrNoPortal) {
		return nil, ""
	}
	l.links++
	switch {
	case err == nil:
		l.linked = append(l.linked, begun)
		return begun, ""
	case l.present.Err() != nil:
		return nil, ""
	}
	return nil, "Nobody can log in by a link now. " + said(access.AsRefusal(err))
}

// await waits until the person has decided in the browser. The client may leave meanwhile,
// which ends the waiting at once, and is told when it is about to end.
func (l *login) await(begun access.DeviceLogin, ask ssh.KeyboardInteractiveChallenge) (identity.Credential, error) {
	end := l.until.Add(-linkMargin)
	if expiry := begun.ExpiresAt(); expiry.Before(end) {
		end = expiry
	}
	ctx, cancel := context.WithDeadline(l.present, end)
	defer cancel()
	var credential identity.Credential
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		credential, err = begun.Wait(ctx)
	}()
	if err := l.notices(done, end, ask); err != nil {
		cancel()
		<-done
		return identity.Credential{}, err
	}
	<-done
	if errors.Is(err, context.DeadlineExceeded) {
		err = l.expired()
	}
	return credential, err
}

// notices tells the client that is waited for, and that it is not for much longer. It returns
// when that is over, or with the error of a client that is gone.
func (l *login) notices(done <-chan struct{}, end time.Time, ask ssh.KeyboardInteractiveChallenge) error {
	begun := time.Now().Add(quietly)
	for _, notice := range []struct {
		at   time.Time
		text string
	}{{begun, "Waiting for the login in the browser."}, {end.Add(-warnBefore), "Still waiting: it is given up soon."}} {
		if notice.at.Before(begun) {
			continue
		}
		timer := time.NewTimer(time.Until(notice.at))
		select {
		case <-done:
			timer.Stop()
			return nil
		case <-timer.C:
		}
		// Without a question (RFC 4256 section 3.4): clients show it and answer by themselves.
		if _, err := ask("", fmt.Sprintf("%s %s left.", notice.text, time.Until(end).Round(time.Second)), nil, nil); err != nil {
			return err
		}
	}
	<-done
	return nil
}

// expired is the refusal of who has not logged in in the time that the handshake has.
func (l *login) expired() error {
	refusal := &access.Refusal{Reason: access.ReasonCredential, Message: access.ErrLoginExpired.Error(), Hint: "Connect again for a new link."}
	if err := l.entry.Reject(l.ctx, refusal.Message); err != nil {
		return err
	}
	return refusal
}

// close gives back what came of logins by a browser.
func (l *login) close() {
	for _, begun := range l.linked {
		begun.Close()
	}
}

// remaining is the time that a person has.
func (l *login) remaining() time.Duration {
	return max(time.Until(l.until)-linkMargin, 0).Round(time.Second)
}

// one asks one question, whose answer is not echoed.
func one(ask ssh.KeyboardInteractiveChallenge, instruction, question string) (string, error) {
	answers, err := ask("", instruction, []string{question}, []bool{false})
	if err != nil {
		return "", err
	}
	if len(answers) != 1 {
		return "", errors.New("one answer was expected")
	}
	return answers[0], nil
}
