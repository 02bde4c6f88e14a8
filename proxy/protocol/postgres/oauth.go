// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
)

// mechanism is the one SASL mechanism that is offered (RFC 7628).
const mechanism = "OAUTHBEARER"

// kvsep ends what the messages of the mechanism are made of (section 3.1).
const kvsep = "\x01"

// discovery is the server's answer to a token it does not take, or to none: a
// client learns from it where to get one (section 3.2.2).
type discovery struct {
	Status        string `json:"status"`
	Configuration string `json:"openid-configuration,omitempty"`
	Scope         string `json:"scope,omitempty"`
}

// authenticateOAuth takes a token in SASL. A client that has none yet is told
// where to get it, and comes back over another connection.
func authenticateOAuth(ctx context.Context, conn *tls.Conn, entry *access.Entry, o oauthOptions) (*access.Caller, error) {
	if _, err := conn.Write(encode(nil, &pgproto3.AuthenticationSASL{AuthMechanisms: []string{mechanism}})); err != nil {
		return nil, err
	}
	raw, err := readPassword(conn)
	if err != nil {
		return nil, err
	}
	response, err := decodeSASLInitial(raw)
	if err != nil {
		return nil, reject(stateProtocolViolation, "Connect with a client that takes a token over SASL OAUTHBEARER, or with options='-c "+parameterAuthentication+"=password' and the token as password.",
			"malformed SASL message: %v", err)
	}
	token, err := decodeBearer(response)
	if err != nil {
		return nil, reject(stateProtocolViolation, "", "malformed %s message: %v", mechanism, err)
	}
	if token == "" {
		// Nothing was tried, so nothing failed: this is how a client asks.
		return nil, challenge(conn, entry, o, &access.Refusal{
			Reason: access.ReasonCredential, Code: stateInvalidAuth, Message: "a token is needed",
			Hint: "Get one from the issuer, with a client such as libpq 18 (oauth_issuer, oauth_client_id), and connect again.",
		})
	}
	caller, err := entry.Authenticate(ctx, identity.BearerToken(token))
	var refusal *access.Refusal
	if errors.As(err, &refusal) && refusal.Reason == access.ReasonCredential {
		return nil, challenge(conn, entry, o, err)
	}
	return caller, err
}

// challenge sends the answer of section 3.2.2, takes the client's empty reply
// (section 3.2.3) and returns why authentication failed.
func challenge(conn *tls.Conn, entry *access.Entry, o oauthOptions, failure error) error {
	answer := discovery{Status: "invalid_token", Configuration: configurationURL(entry.Issuers(), o.IdentityProvider), Scope: o.Scope}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	if _, err := conn.Write(encode(nil, &pgproto3.AuthenticationSASLContinue{Data: text})); err != nil {
		return err
	}
	raw, err := readPassword(conn)
	if err != nil {
		return err
	}
	if string(raw) != kvsep {
		return reject(stateProtocolViolation, "", "malformed %s message: want the one byte that ends a failed exchange", mechanism)
	}
	return failure
}

// configurationURL is where the issuer's metadata is (OpenID Connect Discovery,
// section 4); empty where there is no such issuer.
func configurationURL(issuers []access.Issuer, name string) string {
	for _, issuer := range slices.SortedFunc(slices.Values(issuers), func(a, b access.Issuer) int { return strings.Compare(a.Name, b.Name) }) {
		if name == "" || issuer.Name == name {
			return strings.TrimSuffix(issuer.URL, "/") + "/.well-known/openid-configuration"
		}
	}
	return ""
}

// decodeSASLInitial reads a SASLInitialResponse of the one mechanism and
// returns the client's first message.
func decodeSASLInitial(raw []byte) ([]byte, error) {
	b := body{rest: raw}
	name := b.text("mechanism")
	length := b.int32("length")
	switch {
	case b.err != nil:
		return nil, b.err
	case name != mechanism:
		return nil, fmt.Errorf("the mechanism %.64q was not offered", name)
	case length < 0:
		return nil, errors.New("it has no initial response")
	}
	data := b.bytes(length, "response")
	if err := b.done(); err != nil {
		return nil, err
	}
	return data, nil
}

// bearer is a credential of the scheme Bearer (RFC 6750, section 2.1; the
// scheme's name has no case, RFC 9110, section 11.1).
var bearer = regexp.MustCompile(`^[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)$`)

// decodeBearer reads the client's first message (section 3.1):
//
//	client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep
//	kvpair      = key "=" value kvsep
//
// and returns the token; empty where the client asks for the server's metadata.
// Identity is in the token alone: a client that asks to be somebody else is refused.
func decodeBearer(message []byte) (string, error) {
	rest, found := bytes.CutPrefix(message, []byte("n,,"))
	if !found {
		rest, found = bytes.CutPrefix(message, []byte("y,,"))
	}
	switch {
	case found:
	case bytes.HasPrefix(message, []byte("p=")):
		return "", errors.New("channel binding is not defined for it")
	case bytes.HasPrefix(message, []byte("n,a=")), bytes.HasPrefix(message, []byte("y,a=")):
		return "", errors.New("an authorization identity is not accepted: the token says who you are")
	default:
		return "", errors.New("it does not begin with a GS2 header")
	}
	if rest, found = bytes.CutPrefix(rest, []byte(kvsep)); !found {
		return "", errors.New("no separator follows the GS2 header")
	}
	seen := map[string]bool{}
	auth := ""
	for {
		pair, more, found := bytes.Cut(rest, []byte(kvsep))
		if !found {
			return "", errors.New("it has no end")
		}
		if len(pair) == 0 {
			if len(more) > 0 {
				return "", fmt.Errorf("%d bytes follow its end", len(more))
			}
			break
		}
		rest = more
		key, value, found := bytes.Cut(pair, []byte{'='})
		if name := string(key); !found || !isKey(name) || !isValue(value) {
			return "", errors.New("a pair is not key=value")
		} else if seen[name] {
			return "", fmt.Errorf("key %q is given twice", name)
		} else if seen[name] = true; name == "auth" {
			auth = string(value)
		}
	}
	switch {
	case !seen["auth"]:
		return "", errors.New(`key "auth" is missing`)
	case auth == "":
		return "", nil
	}
	match := bearer.FindStringSubmatch(auth)
	if match == nil {
		return "", errors.New(`key "auth" holds no Bearer token`)
	}
	return match[1], nil
}

// isKey: 1*(ALPHA).
func isKey(key string) bool {
	return key != "" && !strings.ContainsFunc(key, func(r rune) bool { return (r|0x20) < 'a' || (r|0x20) > 'z' })
}

// isValue: *(VCHAR / SP / HTAB / CR / LF).
func isValue(value []byte) bool {
	return !bytes.ContainsFunc(value, func(r rune) bool {
		return r > '~' || r < ' ' && r != '\t' && r != '\r' && r != '\n'
	})
}
