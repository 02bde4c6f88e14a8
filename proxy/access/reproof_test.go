// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/snapshot"
)

// judged is a Verifier that answers as a test says.
type judged struct {
	who    identity.Principal
	answer atomic.Pointer[error]
	asked  atomic.Int64
	known  atomic.Int64 // without a client
}

func (j *judged) Verify(ctx context.Context, credential identity.Credential) (identity.Principal, error) {
	j.asked.Add(1)
	if identity.ClientOf(ctx) == "" {
		j.known.Add(1)
	}
	if credential.Token() != "token" {
		return identity.Principal{}, errBoom
	}
	if err := j.answer.Load(); err != nil && *err != nil {
		return identity.Principal{}, *err
	}
	return j.who, nil
}

func (j *judged) say(err error) { j.answer.Store(&err) }

// TestReproof: where an API server reviews tokens, it is asked again while a session goes on.
func TestReproof(t *testing.T) {
	gone := fmt.Errorf("%w: the API server refuses the token", identity.ErrRejected)
	away := errors.New("connection refused at 10.0.0.1")
	cases := map[string]struct {
		reason string
		// verification is the provider's; the answer is that from the second review on, and
		// until it is back the time after which the API server answers again.
		verification string
		answer       error
		after, back  time.Duration
		ends         error
		asks         bool
	}{
		"Good":       {reason: "who is still proven goes on", verification: snapshot.VerifyTokenReview, after: time.Hour, asks: true},
		"Gone":       {reason: "the pod is gone: the session ends, and says why", verification: snapshot.VerifyTokenReview, answer: gone, after: 4 * time.Minute, ends: ErrRevoked, asks: true},
		"Away":       {reason: "without an answer it goes on for a while", verification: snapshot.VerifyTokenReview, answer: away, after: 6 * time.Minute, asks: true},
		"AwayLong":   {reason: "and not for longer than maxStaleness", verification: snapshot.VerifyTokenReview, answer: away, after: 10 * time.Minute, ends: ErrUnreviewed, asks: true},
		"Back":       {reason: "an answer in time begins anew", verification: snapshot.VerifyTokenReview, answer: away, after: 30 * time.Minute, back: 6 * time.Minute, asks: true},
		"IssuerKeys": {reason: "nobody is asked about tokens that a signature proves", verification: snapshot.VerifyIssuerKeys, answer: gone, after: time.Hour},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, allowing)
				w.caller.ExpiresAt = time.Now().Add(24 * time.Hour)
				j := &judged{who: w.caller}
				w.gate.config.NewVerifier = func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) { return j, nil }
				w.apply(allowing, func(s *snapshot.Snapshot) {
					s.IdentityProviders = []snapshot.IdentityProvider{{Name: "corp", Type: "Kubernetes", Kubernetes: &snapshot.Kubernetes{Verification: tc.verification}}}
				})
				grant := w.authorize()
				defer grant.Close("done")
				j.say(tc.answer)
				// The proof of freshness is another matter.
				fresh := func(d time.Duration) {
					for range d / time.Minute {
						w.gate.Heartbeat(0)
						<-time.After(time.Minute)
					}
					synctest.Wait()
				}
				if tc.back > 0 {
					fresh(tc.back)
					j.say(nil)
					fresh(tc.after - tc.back)
				} else {
					fresh(tc.after)
				}
				cause := context.Cause(grant.Context())
				if !errors.Is(cause, tc.ends) || (cause != nil) != (tc.ends != nil) {
					t.Errorf("%s: ended by %v, want %v", tc.reason, cause, tc.ends)
				}
				if cause != nil && strings.Contains(cause.Error(), "10.0.0.1") {
					t.Errorf("the caller is told of the inside: %v", cause)
				}
				if (j.known.Load() > 0) != tc.asks || j.asked.Load() != j.known.Load()+1 {
					t.Errorf("%s: asked %d times, of these %d about somebody known", tc.reason, j.asked.Load(), j.known.Load())
				}
				if want := int64(2 + 15*int(tc.after/reproveEvery)); j.known.Load() > want {
					t.Errorf("asked %d times in %s", j.known.Load(), tc.after)
				}
			})
		})
	}
}

// TestReproofEndsWithSession: nobody is asked about a session that is over.
func TestReproofEndsWithSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		j := &judged{who: w.caller}
		w.gate.config.NewVerifier = func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) { return j, nil }
		w.apply(allowing, func(s *snapshot.Snapshot) {
			s.IdentityProviders = []snapshot.IdentityProvider{{Name: "corp", Type: "Kubernetes", Kubernetes: &snapshot.Kubernetes{Verification: snapshot.VerifyTokenReview}}}
		})
		grant := w.authorize()
		grant.Close("done")
		<-time.After(time.Hour)
		synctest.Wait()
		if n := j.known.Load(); n != 0 {
			t.Errorf("asked %d times", n)
		}
	})
}

// TestReproofOfEndedSession: a session that ends just as it begins takes nothing else along.
func TestReproofOfEndedSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		j := &judged{who: w.caller}
		w.gate.config.NewVerifier = func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) { return j, nil }
		w.apply(allowing, func(s *snapshot.Snapshot) {
			s.IdentityProviders = []snapshot.IdentityProvider{{Name: "corp", Type: "Kubernetes", Kubernetes: &snapshot.Kubernetes{Verification: snapshot.VerifyTokenReview}}}
		})
		grant := w.authorize()
		defer grant.Close("done")
		grant.End(ErrRevoked)
		grant.reprove(identity.BearerToken("token"))
		<-time.After(time.Hour)
		synctest.Wait()
		if n := j.known.Load(); n != 0 {
			t.Errorf("asked %d times about a session that is over", n)
		}
	})
}

// TestReproofQueue: where answers do not come, sessions end in time however many there are,
// and wait for each other.
func TestReproofQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		w.caller.ExpiresAt = time.Now().Add(24 * time.Hour)
		v := &silent{who: w.caller}
		w.gate.config.NewVerifier = func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) { return v, nil }
		w.apply(allowing, func(s *snapshot.Snapshot) {
			s.IdentityProviders = []snapshot.IdentityProvider{{Name: "corp", Type: "Kubernetes", Kubernetes: &snapshot.Kubernetes{Verification: snapshot.VerifyTokenReview}}}
		})
		const staleness = 5 * time.Minute // of the world
		began := time.Now()
		var ends [600]time.Duration
		var grants [len(ends)]*Grant
		for i := range grants {
			grants[i] = w.authorize()
			context.AfterFunc(grants[i].Context(), func() { ends[i] = time.Since(began) })
		}
		for range 30 {
			w.gate.Heartbeat(0)
			<-time.After(time.Minute)
		}
		synctest.Wait()
		for i, end := range ends {
			if cause := context.Cause(grants[i].Context()); !errors.Is(cause, ErrUnreviewed) || end > reproveEvery*6/5+staleness {
				t.Errorf("session %d ended after %s with %v", i, end, cause)
			}
			grants[i].Close("done")
		}
	})
}

// silent is a Verifier that knows a caller once, and then does not answer in time.
type silent struct{ who identity.Principal }

func (s *silent) Verify(ctx context.Context, _ identity.Credential) (identity.Principal, error) {
	if identity.ClientOf(ctx) != "" {
		return s.who, nil
	}
	<-ctx.Done()
	return identity.Principal{}, ctx.Err()
}
