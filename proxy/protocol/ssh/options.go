// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/protocol/ssh/command"
)

// options is Connection.spec.options of this protocol.
type options struct {
	// HostKeys say which host keys targets may show, in lines of known_hosts; in each the
	// host names may be left out, for all targets of the Connection.
	HostKeys []string `json:"hostKeys"`
	// Shell is the login shell of the account at the target, by which command lines are
	// read; any POSIX shell where empty.
	Shell command.Shell `json:"shell"`
	// Environment names variables from which no program of the target takes a command, a
	// library or a configuration.
	Environment []string `json:"environment"`
	// SFTPPaths says whether paths are decided as the target resolves them, which is what
	// empty means, or as they are written.
	SFTPPaths string `json:"sftpPaths"`
	// KeepAliveSeconds is how long a side may be silent before it is asked for a sign of
	// life; 30 where zero.
	KeepAliveSeconds int `json:"keepAliveSeconds"`
	// Advisory says what becomes of a session in whose shell something is typed that reads as
	// a command which a rule denies: nothing where empty.
	Advisory string `json:"advisory"`

	keys hostKeys
}

// The words of SFTPPaths.
const (
	pathsResolved  = "Resolved"
	pathsAsWritten = "AsWritten"
)

// advisoryEnd is the word of Advisory.
const advisoryEnd = "EndSession"

// shellOther is the shell of which no line is read.
const shellOther command.Shell = "other"

const (
	maxHostKeys      = 64
	maxEnvironment   = 64
	defaultKeepAlive = 30
	maxKeepAlive     = 3600
)

const optionsHint = `the keys of protocol ssh are "hostKeys", "shell", "environment", "sftpPaths", "keepAliveSeconds" and "advisory"`

// parseOptions decodes spec.options strictly.
func parseOptions(raw json.RawMessage) (options, error) {
	var o options
	if len(bytes.TrimSpace(raw)) == 0 {
		return o, errNoHostKeys
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		return options{}, fmt.Errorf("spec.options: %w: %s", err, optionsHint)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return options{}, errors.New("spec.options: want one JSON object and nothing after it")
	}
	if err := o.check(); err != nil {
		return options{}, err
	}
	return o, nil
}

var errNoHostKeys = errors.New(`spec.options: key "hostKeys" is missing: name the target's host keys, as "ssh-keyscan <target>" prints them and its admin confirms, or "@cert-authority * <key>"`)

// check refuses what no option may be, and fills in what an empty word means.
func (o *options) check() error {
	if len(o.HostKeys) == 0 {
		return errNoHostKeys
	}
	if len(o.HostKeys) > maxHostKeys {
		return fmt.Errorf("spec.options: hostKeys: want at most %d lines, got %d", maxHostKeys, len(o.HostKeys))
	}
	var err error
	if o.keys, err = parseHostKeys(o.HostKeys); err != nil {
		return fmt.Errorf("spec.options: hostKeys: %w", err)
	}
	if o.Shell == "" {
		o.Shell = command.Sh
	}
	if shells := []command.Shell{command.Sh, command.Bash, command.Dash, command.Ash, command.Mksh, shellOther}; !slices.Contains(shells, o.Shell) {
		return fmt.Errorf("spec.options: shell: want one of %q, where no command line can be read with other: %q", shells, o.Shell)
	}
	if o.SFTPPaths == "" {
		o.SFTPPaths = pathsResolved
	}
	if o.SFTPPaths != pathsResolved && o.SFTPPaths != pathsAsWritten {
		return fmt.Errorf("spec.options: sftpPaths: want %s or %s: %q", pathsResolved, pathsAsWritten, o.SFTPPaths)
	}
	if len(o.Environment) > maxEnvironment {
		return fmt.Errorf("spec.options: environment: want at most %d names, got %d", maxEnvironment, len(o.Environment))
	}
	for _, name := range o.Environment {
		if !isVariable(name) {
			return fmt.Errorf("spec.options: environment: want names of variables, of letters, digits and _: %q", name)
		}
	}
	if o.KeepAliveSeconds == 0 {
		o.KeepAliveSeconds = defaultKeepAlive
	}
	if o.KeepAliveSeconds < 1 || o.KeepAliveSeconds > maxKeepAlive {
		return fmt.Errorf("spec.options: keepAliveSeconds: want 1 to %d: %d", maxKeepAlive, o.KeepAliveSeconds)
	}
	if o.Advisory != "" && o.Advisory != advisoryEnd {
		return fmt.Errorf("spec.options: advisory: want %s, or leave it out: %q", advisoryEnd, o.Advisory)
	}
	if o.Advisory != "" && o.Shell == shellOther {
		return fmt.Errorf("spec.options: advisory: no line is read of shell %q, so nothing would be found: leave it out", o.Shell)
	}
	return nil
}

func (o *options) keepAlive() time.Duration { return time.Duration(o.KeepAliveSeconds) * time.Second }

// isVariable says whether a text can be the name of an environment variable (POSIX, XBD
// section 8.1), of at most 128 bytes.
func isVariable(name string) bool {
	if name == "" || len(name) > 128 || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
