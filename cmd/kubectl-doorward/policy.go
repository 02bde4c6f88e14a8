// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/doorward/doorward/cli/policy"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/policy/rego"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/protocol/all"
)

// policyParts are the compiler's protocols and the engine that manager and proxies have.
func policyParts() *policy.Dependencies {
	parts := &policy.Dependencies{
		Protocols: compile.Protocols{}, Engine: rego.NewEngine, CheckModule: rego.CheckModule,
		Statements: map[string]func(string) ([]policy.Statement, error){},
	}
	for _, p := range all.Protocols() {
		parts.Protocols[p.Name()] = p
		if reader, ok := p.(protocol.StatementReader); ok {
			parts.Statements[p.Name()] = statements(reader)
		}
	}
	return parts
}

func statements(reader protocol.StatementReader) func(string) ([]policy.Statement, error) {
	return func(text string) ([]policy.Statement, error) {
		readings, err := reader.ReadStatements(text)
		found := make([]policy.Statement, len(readings))
		for i, r := range readings {
			found[i] = policy.Statement{Operation: r.Operation, Assumed: r.Assumed}
		}
		return found, err
	}
}
