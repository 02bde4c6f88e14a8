// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// asker is what modules are told of a caller besides the operation.
type asker struct {
	caller     *ast.Term
	client     *ast.Term
	connection *ast.Term
}

func newAsker(caller *identity.Principal, client netip.Addr, about policy.About) asker {
	address := ""
	if client.IsValid() {
		address = client.Unmap().WithZone("").String()
	}
	labels := ast.NewObject()
	for name, value := range about.Labels {
		labels.Insert(ast.StringTerm(name), ast.StringTerm(value))
	}
	return asker{
		caller: ast.ObjectTerm(
			ast.Item(ast.InternedTerm("user"), ast.StringTerm(caller.UserName)),
			ast.Item(ast.InternedTerm("groups"), ast.ArrayTerm(stringTerms(caller.Groups)...)),
			ast.Item(ast.InternedTerm("provider"), ast.StringTerm(caller.Provider)),
			ast.Item(ast.InternedTerm("issuer"), ast.StringTerm(caller.Issuer)),
			ast.Item(ast.InternedTerm("subject"), ast.StringTerm(caller.Subject)),
			ast.Item(ast.InternedTerm("kind"), ast.StringTerm(string(caller.Kind))),
			ast.Item(ast.InternedTerm("claims"), claimTerm(caller.Claims)),
			ast.Item(ast.InternedTerm("delegation"), delegationTerm(caller.Delegation)),
		),
		client: ast.StringTerm(address),
		connection: ast.ObjectTerm(
			ast.Item(ast.InternedTerm("namespace"), ast.StringTerm(about.Namespace)),
			ast.Item(ast.InternedTerm("name"), ast.StringTerm(about.Name)),
			ast.Item(ast.InternedTerm("labels"), ast.NewTerm(labels)),
		),
	}
}

// inputTerm is what a module is asked; schema/input.json describes it.
func (s *standing) inputTerm(op policy.Operation, now time.Time) *ast.Term {
	accesses := make([]*ast.Term, len(op.Accesses))
	for i := range op.Accesses {
		accesses[i] = accessTerm(op.Accesses[i])
	}
	now = now.UTC()
	return ast.ObjectTerm(
		ast.Item(ast.InternedTerm("caller"), s.asker.caller),
		ast.Item(ast.InternedTerm("client"), s.asker.client),
		ast.Item(ast.InternedTerm("connection"), s.asker.connection),
		ast.Item(ast.InternedTerm("time"), ast.ObjectTerm(
			ast.Item(ast.InternedTerm("rfc3339"), ast.StringTerm(now.Format(time.RFC3339Nano))),
			ast.Item(ast.InternedTerm("ns"), ast.NumberTerm(json.Number(strconv.FormatInt(now.UnixNano(), 10)))),
		)),
		ast.Item(ast.InternedTerm("operation"), ast.ObjectTerm(
			ast.Item(ast.InternedTerm("accesses"), ast.ArrayTerm(accesses...)),
			ast.Item(ast.InternedTerm("properties"), ast.ArrayTerm(stringTerms(op.Properties)...)),
		)),
	)
}

func accessTerm(access policy.Access) *ast.Term {
	return ast.ObjectTerm(
		ast.Item(ast.InternedTerm("action"), ast.StringTerm(access.Action)),
		ast.Item(ast.InternedTerm("resource"), ast.StringTerm(access.Resource)),
		ast.Item(ast.InternedTerm("indirect"), ast.InternedTerm(access.Indirect)),
	)
}
