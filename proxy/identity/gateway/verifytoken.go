// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/doorward/doorward/proxy/identity"
)

// Token proves a Statement by a token, which must not be bound. Errors wrap
// identity.ErrRejected.
func (v *Verifier) Token(token string) (Statement, error) {
	return v.provenToken(token, (*Statement).unbound)
}

// BoundToken proves a Statement by a token together with the secret that it must be bound to.
// Errors wrap identity.ErrRejected.
func (v *Verifier) BoundToken(token, secret string) (Statement, error) {
	return v.provenToken(token, func(s *Statement) error { return s.boundTo(secret) })
}

func (v *Verifier) provenToken(token string, binding func(*Statement) error) (Statement, error) {
	if v.closed != "" {
		return Statement{}, rejected(errors.New(v.closed))
	}
	s, err := v.token(token)
	if err == nil {
		err = binding(&s)
	}
	return v.judged(s, err)
}

var errNoToken = errors.New("not a token of the gateway")

// token proves who signed a token, and reads it.
func (v *Verifier) token(token string) (Statement, error) {
	if len(token) > identity.MaxTokenBytes {
		return Statement{}, fmt.Errorf("token is too large: %d bytes, at most %d are allowed", len(token), identity.MaxTokenBytes)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Statement{}, errNoToken
	}
	header, err := members(parts[0])
	if err != nil {
		return Statement{}, err
	}
	kid, err := header.parameters()
	if err != nil {
		return Statement{}, err
	}
	key, known := v.keys[kid]
	if !known {
		return Statement{}, fmt.Errorf("token is signed by a key that is not the manager's, or not any more: %s", remedy)
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return Statement{}, errNoToken
	}
	if _, err := signed.Verify(key); err != nil {
		return Statement{}, errors.New("the token's signature is not the manager's")
	}
	claims, err := members(parts[1])
	if err != nil {
		return Statement{}, err
	}
	s, err := claims.ofToken()
	s.KeyID = kid
	return s, err
}

// object are the members of a JSON object by their exact names: encoding/json matches a
// struct's names whatever their case.
type object map[string]json.RawMessage

// members reads one part of a compact JWS. Line ends, which decoders of base64 skip, would
// give one token many spellings.
func members(part string) (object, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil || strings.ContainsAny(part, "\r\n") {
		return nil, errNoToken
	}
	return objectOf(raw)
}

func objectOf(raw []byte) (object, error) {
	if err := identity.UniqueNames(raw); err != nil {
		return nil, err
	}
	var o object
	if err := json.Unmarshal(raw, &o); err != nil || o == nil {
		return nil, errNoToken
	}
	return o, nil
}

// parameters are those of a header (RFC 7515 section 4.1): the three that the manager
// writes, and no other, and returns the key's id.
func (o object) parameters() (kid string, err error) {
	if err := o.only("alg", "kid", "typ"); err != nil {
		return "", err
	}
	if alg, err := o.text("alg"); err != nil || alg != string(jose.ES256) {
		return "", fmt.Errorf("token is not signed with %s", jose.ES256)
	}
	if typ, err := o.text("typ"); err != nil || typ != TokenType {
		return "", fmt.Errorf("token is of another type: want header parameter typ to be %q", TokenType)
	}
	return o.text("kid")
}

// ofToken reads the claims of a token that the manager has signed.
func (o object) ofToken() (Statement, error) {
	s := Statement{}
	if err := o.only("iss", "aud", "iat", "nbf", "exp", "jti", "id", "provider", "proof", "claims", "binding"); err != nil {
		return s, err
	}
	if _, bound := o["binding"]; bound {
		var err error
		if s.Binding, err = o.text("binding"); err != nil {
			return s, err
		}
	}
	for name, want := range map[string]string{"iss": Issuer, "aud": Audience} {
		if value, err := o.text(name); err != nil || value != want {
			return s, fmt.Errorf("token is for something else: want claim %q to be %q", name, want)
		}
	}
	if err := o.statement(&s); err != nil {
		return s, err
	}
	if id, err := o.text("jti"); err != nil || id != s.ID {
		return s, errors.New("claims \"jti\" and \"id\" of the token differ")
	}
	var begin time.Time
	for name, into := range map[string]*time.Time{"iat": &s.IssuedAt, "nbf": &begin, "exp": &s.ExpiresAt} {
		var seconds int64
		if err := json.Unmarshal(o[name], &seconds); err != nil || seconds <= 0 || seconds > lastSecond {
			return s, fmt.Errorf("claim is missing or no date: %q", name)
		}
		*into = time.Unix(seconds, 0)
	}
	if !begin.Equal(s.IssuedAt) {
		return s, errors.New("claims \"iat\" and \"nbf\" of the token differ")
	}
	err := s.Date()
	return s, err
}

// lastSecond bounds a NumericDate (RFC 7519 section 2): the year 9999.
const lastSecond = 253402300799

// statement reads what a token and a certificate have in common.
func (o object) statement(s *Statement) (err error) {
	if s.ID, err = o.text("id"); err != nil {
		return err
	}
	if s.Provider, err = o.text("provider"); err != nil {
		return err
	}
	if s.Proof, err = o.text("proof"); err != nil {
		return err
	}
	s.Claims = o["claims"]
	return nil
}

// stated reads what a certificate of either kind holds, and dates it.
func (s *Statement) stated(text []byte) error {
	o, err := objectOf(text)
	if err != nil {
		return err
	}
	if err := o.only("id", "provider", "proof", "claims"); err != nil {
		return err
	}
	if err := o.statement(s); err != nil {
		return err
	}
	return s.Date()
}

// Date gives the claims the dates of the credential: a rule of the provider that looks at
// them looks at those. So does the manager before it signs, to judge as proxies will.
func (s *Statement) Date() error {
	if err := s.check(); err != nil {
		return err
	}
	var claims object
	if err := json.Unmarshal(s.Claims, &claims); err != nil || claims == nil {
		return errors.New("the claims of the statement are no object")
	}
	for name, at := range map[string]time.Time{"iat": s.IssuedAt, "nbf": s.IssuedAt, "exp": s.ExpiresAt} {
		claims[name] = json.RawMessage(fmt.Sprint(at.Unix()))
	}
	encoded, err := json.Marshal(claims)
	if err != nil {
		return fmt.Errorf("cannot encode the claims: %w", err)
	}
	s.Claims = encoded
	return nil
}

// only refuses members of other names: a later manager may restrict by one.
func (o object) only(names ...string) error {
	known := 0
	for _, name := range names {
		if _, present := o[name]; present {
			known++
		}
	}
	if known != len(o) {
		return fmt.Errorf("credential has more than %q: upgrade the proxy to the manager's version", names)
	}
	return nil
}

// text is a member that must be a string, and not an empty one.
func (o object) text(name string) (string, error) {
	var value string
	if err := json.Unmarshal(o[name], &value); err != nil || value == "" {
		return "", fmt.Errorf("member is missing or no string: %q", name)
	}
	return value, nil
}
