// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"encoding/json"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol"
)

// Name is the word of Connection.spec.protocol.
const Name = "ssh"

// defaultPort is the port a proxy listens on: it may bind it without being root.
const defaultPort = 2222

// New is SSH as a protocol of the proxy.
func New() protocol.Protocol { return sshProtocol{} }

type sshProtocol struct{}

// Name implements protocol.Protocol.
func (sshProtocol) Name() string { return Name }

// UsesHostKeys says that callers know a proxy by an SSH host key.
func (sshProtocol) UsesHostKeys() bool { return true }

// DefaultPort implements protocol.Protocol.
func (sshProtocol) DefaultPort() int32 { return defaultPort }

// ValidateOptions implements protocol.Protocol.
func (sshProtocol) ValidateOptions(raw json.RawMessage) error {
	_, err := parseOptions(raw)
	return err
}

// Vocabulary implements protocol.Protocol.
func (sshProtocol) Vocabulary() policy.Vocabulary { return vocabulary() }

// NewHandler implements protocol.Protocol.
func (sshProtocol) NewHandler() protocol.Handler { return handler{} }

// handler is what the sessions of one listener share.
type handler struct{}

// LoginTimeout implements protocol.PatientHandler: a token may be pasted by hand, or a
// person logs in by a browser meanwhile.
func (handler) LoginTimeout() time.Duration { return loginBound }
