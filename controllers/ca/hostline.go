// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// hostLine is the certificate of an SSH authority: the line of known_hosts by which
// callers trust it (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). Its patterns are the
// authority's constraints. SSH has no word for the life of an authority: it stands in
// the comment, as an interval of ISO 8601, and the manager keeps to it.
type hostLine struct {
	patterns     string
	key          ssh.PublicKey
	begins, ends time.Time
}

const (
	hostMarker = "cert-authority"
	// hostComment begins the comment of such a line, which is one word: x/crypto/ssh
	// refuses more.
	hostComment = "doorward:"
)

func (l hostLine) encode() []byte {
	return fmt.Appendf(nil, "@%s %s %s %s %s%s/%s\n", hostMarker, l.patterns, l.key.Type(), base64.StdEncoding.EncodeToString(l.key.Marshal()),
		hostComment, l.begins.UTC().Format(time.RFC3339), l.ends.UTC().Format(time.RFC3339))
}

// bound says whether the line is for what the constraints permit.
func (l hostLine) bound(c Constraints) bool { return l.patterns == hostPatterns(c) }

func parseHostLine(data []byte) (hostLine, error) {
	marker, patterns, key, comment, rest, err := ssh.ParseKnownHosts(data)
	switch {
	case err != nil || marker != hostMarker || len(bytes.TrimSpace(rest)) > 0:
		return hostLine{}, errors.New("not one line @cert-authority of known_hosts")
	case key.Type() != ssh.KeyAlgoED25519:
		return hostLine{}, fmt.Errorf("not an ed25519 key: %s", key.Type())
	}
	l := hostLine{patterns: strings.Join(patterns, ","), key: key}
	life, found := strings.CutPrefix(comment, hostComment)
	from, to, _ := strings.Cut(life, "/")
	var fromErr, toErr error
	l.begins, fromErr = time.Parse(time.RFC3339, from)
	l.ends, toErr = time.Parse(time.RFC3339, to)
	if !found || fromErr != nil || toErr != nil {
		return hostLine{}, errors.New("its line has no comment that says from when until when it is good")
	}
	return l, nil
}

// hostLines parses every line of a bundle and drops what is none.
func hostLines(bundle []byte) []hostLine {
	var all []hostLine
	for line := range bytes.Lines(bundle) {
		if l, err := parseHostLine(line); err == nil {
			all = append(all, l)
		}
	}
	return all
}

// unexpiredHosts keeps the lines of authorities that are not over.
func unexpiredHosts(bundle []byte, now time.Time) []byte {
	var kept []byte
	for _, l := range hostLines(bundle) {
		if now.Before(l.ends) {
			kept = append(kept, l.encode()...)
		}
	}
	return kept
}
