// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/jackc/pgx/v5/pgproto3"
)

func said(messages ...pgproto3.BackendMessage) []byte {
	var out []byte
	for _, m := range messages {
		out = encode(out, m)
	}
	return out
}

// TestGuard is checklist 14, 16 and 19 for what a target says before it is
// ready: only what comes in its turn, is asked for rightly and has bounds.
func TestGuard(t *testing.T) {
	ok, ready := &pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'I'}
	cleartext, md5 := &pgproto3.AuthenticationCleartextPassword{}, &pgproto3.AuthenticationMD5Password{}
	sasl := &pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}
	first := func(i string) *pgproto3.AuthenticationSASLContinue {
		return &pgproto3.AuthenticationSASLContinue{Data: []byte("r=abc,s=c2FsdA==" + i)}
	}
	final := &pgproto3.AuthenticationSASLFinal{Data: []byte("v=x")}
	status := &pgproto3.ParameterStatus{Name: "a", Value: "b"}
	key := func(n int) *pgproto3.BackendKeyData {
		return &pgproto3.BackendKeyData{ProcessID: 1, SecretKey: make([]byte, n)}
	}
	notice := &pgproto3.NoticeResponse{Message: "x"}
	repeated := func(m pgproto3.BackendMessage, n int) []byte { return bytes.Repeat(said(m), n) }

	type where struct{ verified, password bool }
	tls, plain, certOnly := where{true, true}, where{false, true}, where{true, false}
	for name, tc := range map[string]struct {
		where
		said []byte
		err  string
	}{
		"SCRAM":                         {tls, said(sasl, first(",i=4096"), final, ok, status, key(4), ready), ""},
		"SCRAM without TLS":             {plain, said(sasl, first(",i=4096"), final, ok, ready), ""},
		"clear text inside TLS":         {tls, said(cleartext, ok, ready), ""},
		"MD5 inside TLS":                {tls, said(md5, ok, ready), ""},
		"nothing":                       {tls, said(notice, ok, status, notice, ready), ""},
		"certificate":                   {certOnly, said(ok, ready), ""},
		"an error":                      {tls, said(&pgproto3.ErrorResponse{Code: "28P01"}), ""},
		"checklist 14: clear text":      {plain, said(cleartext), "without verified TLS"},
		"checklist 14: MD5":             {plain, said(md5), "without verified TLS"},
		"password, and there is none":   {certOnly, said(cleartext), "has no password"},
		"SCRAM, and there is none":      {certOnly, said(sasl), "has no password"},
		"GSSAPI":                        {tls, said(&pgproto3.AuthenticationGSS{}), "GSSAPI"},
		"SSPI":                          {tls, []byte("R\x00\x00\x00\x08\x00\x00\x00\x09"), "SSPI"},
		"Kerberos V5":                   {tls, []byte("R\x00\x00\x00\x08\x00\x00\x00\x02"), "Kerberos"},
		"SCM credential":                {tls, []byte("R\x00\x00\x00\x08\x00\x00\x00\x06"), "SCM"},
		"unknown kind":                  {tls, []byte("R\x00\x00\x00\x08\x00\x00\x00\x63"), "(99)"},
		"no kind":                       {tls, []byte("R\x00\x00\x00\x06\x00\x00"), "no kind"},
		"endless requests":              {tls, said(cleartext, cleartext), "out of turn"},
		"SCRAM, then clear text":        {tls, said(sasl, cleartext), "out of turn"},
		"SCRAM twice":                   {tls, said(sasl, first(",i=4096"), sasl), "out of turn"},
		"SCRAM not finished":            {tls, said(sasl, first(",i=4096"), ok), "before it has proven"},
		"SCRAM not begun":               {tls, said(first(",i=4096")), "not supported"},
		"in before the password":        {tls, said(sasl, ok), "before it has proven"},
		"asks again afterwards":         {tls, said(ok, cleartext), "out of turn"},
		"ready before it let us in":     {tls, said(ready), "out of turn"},
		"settings before it let us in":  {tls, said(status), "out of turn"},
		"cancel key before it let us":   {tls, said(key(4)), "out of turn"},
		"checklist 16: two cancel keys": {tls, said(ok, key(4), key(4)), "out of turn"},
		"a key of 256 bytes":            {tls, said(ok, key(256), ready), ""},
		"a key of 257 bytes":            {tls, said(ok, key(257)), "cancel key"},
		"a key of none":                 {tls, said(ok, key(0)), "cancel key"},
		"negotiates":                    {tls, said(&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: 196608}), "another protocol version"},
		"a row":                         {tls, said(ok, &pgproto3.DataRow{}), "out of turn"},
		"asks for a file":               {tls, said(ok, &pgproto3.CopyInResponse{}), "out of turn"},
		"endless notices":               {tls, repeated(notice, 1000), "more than"},
		"checklist 16: 1 M cancel keys": {tls, append(said(ok), repeated(key(4), 1_000_000)...), "out of turn"},
		"endless settings":              {tls, append(said(ok), repeated(status, 1000)...), "more than"},
		"many large settings":           {tls, append(said(ok), repeated(&pgproto3.ParameterStatus{Name: "a", Value: strings.Repeat("x", 60<<10)}, 20)...), "more than"},
		"a large one":                   {tls, said(ok, &pgproto3.ParameterStatus{Name: "a", Value: strings.Repeat("x", 100<<10)}), "at most"},
		"length 2^31-1":                 {tls, []byte("N\x7f\xff\xff\xff"), "at most"},
		"length 3":                      {tls, []byte("N\x00\x00\x00\x03"), "length 3"},
		"all the work in the world":     {tls, said(sasl, first(",i=2147483647")), "iterations"},
		"more work than there are bits": {tls, said(sasl, first(",i=99999999999999999999")), "iterations"},
		"a little too much work":        {tls, said(sasl, first(",i=1000001")), "iterations"},
		"no work":                       {tls, said(sasl, first(",i=0")), "iterations"},
		"no number":                     {tls, said(sasl, first("")), "iterations"},
		"little work without TLS":       {plain, said(sasl, first(",i=1")), "without verified TLS"},
		"little work inside TLS":        {tls, said(sasl, first(",i=1"), final, ok, ready), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := io.ReadAll(newGuard(bytes.NewReader(tc.said), tc.verified, tc.password))
			if tc.err == "" {
				if err != nil || !bytes.Equal(got, tc.said) {
					t.Errorf("%d of %d bytes came through, %v", len(got), len(tc.said), err)
				}
				return
			}
			if !errors.Is(err, errGreeting) || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %v, want an error with %q", err, tc.err)
			}
			if !bytes.HasPrefix(tc.said, got) || len(got) == len(tc.said) {
				t.Errorf("%d of %d bytes came through", len(got), len(tc.said))
			}
		})
	}
}

// TestGuardSteps out of the way: what follows the greeting is not looked at,
// and nothing of it is kept back.
func TestGuardStepsAside(t *testing.T) {
	stream := slices.Concat(said(&pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'I'}), []byte("anything at all"))
	source := iotest.OneByteReader(bytes.NewReader(stream))
	g := newGuard(source, true, true)
	if got, err := io.ReadAll(io.LimitReader(g, int64(len(stream)-15))); err != nil || len(g.ready) > 0 {
		t.Fatalf("%q, %v, %d bytes are kept back", got, err, len(g.ready))
	}
	if rest, err := io.ReadAll(source); err != nil || string(rest) != "anything at all" {
		t.Errorf("behind the guard there is %q, %v", rest, err)
	}
}

// FuzzGuard: whatever a target says, what comes through is what it said, within
// bounds, and whole messages.
func FuzzGuard(f *testing.F) {
	f.Add(said(&pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'I'}), true, true)
	f.Add(said(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}, &pgproto3.AuthenticationSASLContinue{Data: []byte("r=a,s=b,i=4096")}), false, true)
	f.Fuzz(func(t *testing.T, stream []byte, verified, password bool) {
		g := newGuard(bytes.NewReader(stream), verified, password)
		got, _ := io.ReadAll(g)
		if !bytes.HasPrefix(stream, got) || !g.open && len(got) > maxGreetingBytes+headerLength*maxGreetingCount {
			t.Errorf("%d of %d bytes came through", len(got), len(stream))
		}
		if g.open && !g.proven {
			t.Error("ready before it let the proxy in")
		}
		if !verified && bytes.HasPrefix(got, []byte("R\x00\x00\x00\x08\x00\x00\x00\x03")) {
			t.Error("checklist 14: a clear-text password is asked for without TLS")
		}
	})
}
