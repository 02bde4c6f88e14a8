// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"strings"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/protocol/ssh/command"
)

// ReadStatements implements protocol.StatementReader: each line is the command line of an exec
// request. The account's shell and the Connection's variables are not known.
func (sshProtocol) ReadStatements(text string) ([]protocol.Reading, error) {
	var readings []protocol.Reading
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var w wanted
		w.line(line, &options{Shell: command.Sh}, false)
		w.sort()
		assumed := []string{"the account's shell is any POSIX shell, there is no terminal, and options.environment names nothing"}
		for _, u := range w.unread {
			assumed = append(assumed, "what the line does is not plain: "+u.Detail)
		}
		readings = append(readings, protocol.Reading{
			Operation: policy.Operation{Accesses: w.accesses, Properties: w.properties}, Assumed: assumed,
		})
	}
	return readings, nil
}
