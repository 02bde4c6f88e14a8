// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Minor versions of protocol 3. 3.1 was never used; who asks for it gets what
// 3.0 has.
const (
	majorVersion = 3
	// minorLongKeys is the first minor version with cancel keys of other lengths.
	minorLongKeys = 2
	newestMinor   = 2
)

// parseStartup reads a StartupMessage. Parameters are taken by name; whatever
// is not listed is refused, since the target would act on it.
func parseStartup(packet []byte) (startup, error) {
	s := startup{passed: map[string]string{}}
	version := binary.BigEndian.Uint32(packet)
	major, minor := version>>16, version&0xffff
	if major != majorVersion {
		return s, reject(stateFeatureNotSupported, "", "protocol version %d.%d is not supported, only 3.0 to 3.%d", major, minor, newestMinor)
	}
	var inOptions string
	var unknown []string
	seen := map[string]bool{}
	for rest := packet[4:]; ; {
		name, more, err := cutText(rest)
		if err != nil {
			return s, err
		}
		if name == "" {
			if len(more) > 0 {
				return s, reject(stateProtocolViolation, "", "startup packet has %d bytes after its end", len(more))
			}
			break
		}
		value, more, err := cutText(more)
		if err != nil {
			return s, err
		}
		rest = more
		if lower := strings.ToLower(name); seen[lower] {
			return s, reject(stateProtocolViolation, "", "startup parameter %q is given twice", name)
		} else if seen[lower] = true; lower == "options" {
			inOptions = value
		} else if strings.HasPrefix(name, "_pq_.") {
			unknown = append(unknown, name)
		} else if err := s.parameter(name, value); err != nil {
			return s, err
		}
	}
	if minor > newestMinor || len(unknown) > 0 {
		spoken := uint32(0)
		if minor >= newestMinor {
			spoken = newestMinor
		}
		// Not only the minor version, whatever the field is called: the server
		// sends both, and libpq takes less for a version before 3.0.
		s.negotiate = &pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: majorVersion<<16 | spoken, UnrecognizedOptions: unknown}
	}
	s.longKey = minor >= minorLongKeys
	if err := s.options(inOptions, seen); err != nil {
		return s, err
	}
	if s.user == "" {
		return s, reject(stateInvalidAuth, "Give any user name; the token says who you are.", "no user name in the startup packet")
	}
	if s.database == "" {
		s.database = s.user // as the server does
	}
	return s, nil
}

func cutText(b []byte) (string, []byte, error) {
	end := bytes.IndexByte(b, 0)
	if end < 0 {
		return "", nil, reject(stateProtocolViolation, "", "startup packet has no terminator")
	}
	return string(b[:end]), b[end+1:], nil
}

// passedOn are the parameters that go to the target: they shape how values are
// shown, or bound or plan the caller's own statements. Names are compared in
// lower case, as the server does. A function says which values are taken, where
// some would give the caller more than it has.
var passedOn = map[string]func(value string) bool{
	"datestyle": nil, "intervalstyle": nil, "timezone": nil, "extra_float_digits": nil, "bytea_output": nil, "xmloption": nil,
	"statement_timeout": nil, "lock_timeout": nil, "idle_in_transaction_session_timeout": nil, "idle_session_timeout": nil, "transaction_timeout": nil,
	"default_transaction_isolation": nil, "default_transaction_deferrable": nil,
	"geqo": nil, "jit": nil,
	// The session follows it, as it follows SET search_path.
	"search_path": nil,
	// What the target is to tell of its own doings stays where it is.
	"client_min_messages": oneOf("notice", "warning", "error"),
	// A role that is read-only by default stays so.
	"default_transaction_read_only": isTrue,
}

func isTrue(value string) bool { return oneOf("on", "true", "yes", "1")(value) }

func oneOf(words ...string) func(string) bool {
	return func(value string) bool { return slices.Contains(words, strings.ToLower(value)) }
}

// maxParameter bounds the value of a startup parameter, in bytes.
const maxParameter = 1024

// parameterAuthentication is the proxy's own parameter: how the client wants to
// be asked for its token, oauth or password.
const parameterAuthentication = "doorward.authentication"

func (s *startup) parameter(name, value string) error {
	switch strings.ToLower(name) {
	case "user":
		s.user = value
	case "database":
		s.database = value
	case "replication":
		return reject(stateFeatureNotSupported, "Connect without replication.", "replication connections are never forwarded")
	default:
		return s.setting(name, value)
	}
	return nil
}

// setting takes a parameter that may also come in options.
func (s *startup) setting(name, value string) error {
	lower := strings.ToLower(name)
	allowed, passes := passedOn[lower]
	switch {
	case lower == "application_name":
		s.application = value
	case lower == "client_encoding":
		return checkEncoding(value)
	case lower == "standard_conforming_strings" && isTrue(value):
	case lower == parameterAuthentication && oneOf("oauth")(value):
		s.authentication = authenticationOAuth
	case lower == parameterAuthentication && oneOf("password")(value):
		s.authentication = authenticationPassword
	case passes && len(value) <= maxParameter && oneLine(value) == value && (allowed == nil || allowed(value)):
		s.passed[lower] = value
	case passes, lower == parameterAuthentication, lower == "standard_conforming_strings":
		return reject(stateInvalidParameter, "Connect without it, or with another value.", "value of startup parameter %q is not accepted: %.64q", name, value)
	default:
		return reject(stateFeatureNotSupported, "Accepted are application_name, client_encoding, "+strings.Join(slices.Sorted(maps.Keys(passedOn)), ", ")+".",
			"startup parameter %q is not accepted", name)
	}
	return nil
}

// options reads what libpq calls options: settings as the server's command line
// has them. A parameter of the packet's own wins over one in options, and of
// two in options the last, as with the server.
func (s *startup) options(text string, seen map[string]bool) error {
	words := splitOptions(text)
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		setting, found := strings.CutPrefix(word, "--")
		if !found {
			if setting, found = strings.CutPrefix(word, "-c"); found && setting == "" && len(words) > 0 {
				setting, words = words[0], words[1:]
			}
		}
		name, value, assigned := strings.Cut(setting, "=")
		if !found || !assigned || name == "" {
			return reject(stateFeatureNotSupported, "Accepted is -c name=value.", "%q in startup parameter \"options\" is not accepted", word)
		}
		// The command line has dashes for underscores.
		name = strings.ReplaceAll(name, "-", "_")
		into := s
		if seen[strings.ToLower(name)] {
			into = &startup{passed: map[string]string{}} // looked at all the same
		}
		if err := into.setting(name, value); err != nil {
			return err
		}
	}
	return nil
}

// splitOptions cuts a command line at white space; a backslash takes the next
// byte as it is (PostgreSQL manual, section 34.1.2, options).
func splitOptions(text string) []string {
	var words []string
	var word []byte
	inside := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == ' ', c >= '\t' && c <= '\r':
			if inside {
				words, word, inside = append(words, string(word)), word[:0], false
			}
		case c == '\\' && i+1 < len(text):
			i++
			word, inside = append(word, text[i]), true
		default:
			word, inside = append(word, c), true
		}
	}
	if inside {
		words = append(words, string(word))
	}
	return words
}

// checkEncoding accepts UTF8 in all its spellings. SQL_ASCII means "whatever
// there is" and is what clients send in the C locale; they are told UTF8.
func checkEncoding(value string) error {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "", "'", "", `"`, "", " ", "").Replace(value)) {
	case "utf8", "unicode", "sqlascii":
		return nil
	}
	return reject(stateInvalidParameter, "Set PGCLIENTENCODING=UTF8.", "client_encoding %q is not accepted, only UTF8", value)
}
