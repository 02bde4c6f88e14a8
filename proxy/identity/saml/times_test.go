// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package saml_test

import (
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/identity/saml"
	"github.com/doorward/doorward/test/samltest"
)

// TestTimes: every limit is held, to the second, and moved by the clock skew and no more.
func TestTimes(t *testing.T) {
	idp, l := keys().idp, login()
	encoded, err := idp.Post(l)
	if err != nil {
		t.Fatal(err)
	}
	const life, skew = 5 * time.Minute, 30 * time.Second
	for name, test := range map[string]struct {
		reason string
		skew   time.Duration
		after  time.Duration
		says   string
	}{
		"First":          {"from its first instant on", 0, 0, ""},
		"TooEarly":       {"and not before", 0, -time.Millisecond, "not in force yet"},
		"Last":           {"until its last", 0, life - time.Millisecond, ""},
		"TooLate":        {"not on or after its end", 0, life, "has expired"},
		"EarlySkewed":    {"a slow clock of ours", skew, -skew, ""},
		"TooEarlySkewed": {"which is not slower than was said", skew, -skew - time.Millisecond, "not in force yet"},
		"LateSkewed":     {"a fast clock of ours", skew, life + skew - time.Millisecond, ""},
		"TooLateSkewed":  {"which is not faster than was said", skew, life + skew, "has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			sp := newProvider(t, func(c *saml.Config) { c.ClockSkew = test.skew })
			now := l.Now.Add(test.after)
			if test.says != "" {
				refused(t, sp, encoded, now, test.reason, test.says)
				return
			}
			a, err := sp.Response(encoded, requestID, now)
			if err != nil {
				t.Fatalf("%s: %v", test.reason, err)
			}
			if !a.NotOnOrAfter.Equal(l.Now.Add(life + test.skew)) {
				t.Errorf("its ID would be forgotten while it is good: %s", a.NotOnOrAfter)
			}
		})
	}
}

// TestShorterLimit: of the two ends of an assertion the earlier counts.
func TestShorterLimit(t *testing.T) {
	idp := keys().idp
	for name, path := range map[string]string{"Conditions": "Conditions", "Bearer": "Subject/SubjectConfirmation/SubjectConfirmationData"} {
		t.Run(name, func(t *testing.T) {
			l := login()
			a := idp.Assertion(l)
			set(path, "NotOnOrAfter", l.Now.Add(time.Minute).UTC().Format(time.RFC3339))(a)
			encoded := samltest.Encode(idp.Response(l, sign(t, idp, a)))
			refused(t, newProvider(t), encoded, l.Now.Add(time.Minute), "the earlier end", "has expired")
			got, err := newProvider(t).Response(encoded, requestID, l.Now)
			if err != nil || !got.NotOnOrAfter.Equal(l.Now.Add(time.Minute)) {
				t.Errorf("%v, %v", got.NotOnOrAfter, err)
			}
		})
	}
}
