// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// certificateHeader is the first line of a Certificate's text.
const certificateHeader = "doorward.dev/log-certificate/v1"

// maxCertificate bounds a signed Certificate in bytes, as an AuditLog does.
const maxCertificate = 4096

// Certificate is the witness's word on whose log a log is.
type Certificate struct {
	// Log is the log's id, Key its first key as a note verifier.
	Log, Key string
	// Namespace and Connection name the Connection whose proxy showed the log,
	// Instance the proxy.
	Namespace, Connection, Instance string
	// Time is when the witness first saw it, in UTC.
	Time time.Time
}

// Text is what is signed.
func (c *Certificate) Text() string {
	return fmt.Sprintf("%s\n%s\n%s\n%s/%s\n%s\n%s\n", certificateHeader, c.Log, c.Key, c.Namespace, c.Connection, c.Instance,
		c.Time.UTC().Format(time.RFC3339Nano))
}

// Sign returns the certificate as a note signed by a witness.
func (c *Certificate) Sign(signer note.Signer) (string, error) {
	text := c.Text()
	if _, err := parseCertificate(text); err != nil {
		return "", fmt.Errorf("cannot certify log: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return "", fmt.Errorf("cannot certify log: %w", err)
	}
	return string(signed), nil
}

// OpenCertificate reads a certificate that one of the verifiers signed.
func OpenCertificate(signed string, verifiers note.Verifiers) (Certificate, error) {
	if len(signed) > maxCertificate {
		return Certificate{}, fmt.Errorf("%w certificate: %d bytes, at most %d", errMalformed, len(signed), maxCertificate)
	}
	n, err := note.Open([]byte(signed), verifiers)
	if err != nil {
		return Certificate{}, fmt.Errorf("certificate of a log not signed by its witness: %w", err)
	}
	return parseCertificate(n.Text)
}

// parseCertificate reads a text, and only one that Text would write.
func parseCertificate(text string) (Certificate, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 7 || lines[0] != certificateHeader || lines[6] != "" {
		return Certificate{}, fmt.Errorf("%w certificate: not the lines %q, log id, key, Connection, instance and time", errMalformed, certificateHeader)
	}
	namespace, connection, ok := strings.Cut(lines[3], "/")
	at, err := time.Parse(time.RFC3339Nano, lines[5])
	if !ok || err != nil || lines[1] == "" || lines[2] == "" || lines[4] == "" {
		return Certificate{}, fmt.Errorf("%w certificate: Connection %q, time %q", errMalformed, lines[3], lines[5])
	}
	c := Certificate{Log: lines[1], Key: lines[2], Namespace: namespace, Connection: connection, Instance: lines[4], Time: at.UTC()}
	if c.Text() != text {
		return Certificate{}, fmt.Errorf("%w certificate: time not in its usual form: %q", errMalformed, lines[5])
	}
	return c, nil
}
