// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package review

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/review/wire"
)

// read understands the question in the words of the Connection's protocol.
func (e *exchange) read(w http.ResponseWriter, r *http.Request, caller *access.Caller) (*question, *fault) {
	text, f := body(w, r)
	if f != nil {
		return nil, f
	}
	q := &question{}
	q.connection.Namespace, q.connection.Name = e.entry.Connection()
	var meant wire.Connection
	var spec *wire.AccessSpec
	if r.RequestURI == wire.RulesPath {
		rules, err := wire.ReadRules(text)
		if err != nil {
			return nil, invalid(http.StatusBadRequest, "BadRequest", err.Error())
		}
		meant = rules.Connection
	} else {
		var err error
		if spec, err = wire.ReadAccess(text); err != nil {
			return nil, invalid(http.StatusBadRequest, "BadRequest", err.Error())
		}
		meant = spec.Connection
	}
	if meant.Namespace != "" && meant.Namespace != q.connection.Namespace || meant.Name != "" && meant.Name != q.connection.Name {
		return nil, invalid(http.StatusNotFound, "NotFound", fmt.Sprintf("this port answers for another Connection than %q", meant.Namespace+"/"+meant.Name))
	}
	protocol := caller.Protocol()
	var known bool
	if q.vocabulary, known = e.handler.options.Vocabulary(protocol); !known {
		return nil, &fault{http.StatusServiceUnavailable, string(access.ReasonUnavailable), "the proxy knows no protocol of this name: " + protocol, "Unavailable"}
	}
	if spec != nil {
		if q.operation, f = operation(spec, &q.vocabulary, protocol); f != nil {
			return nil, f
		}
	}
	return q, nil
}

// operation is what a protocol would ask the engine, sorted and without duplicates.
func operation(spec *wire.AccessSpec, vocabulary *policy.Vocabulary, protocol string) (*policy.Operation, *fault) {
	has := func(terms []policy.Term, word string) bool {
		return slices.ContainsFunc(terms, func(t policy.Term) bool { return t.Name == word })
	}
	op := &policy.Operation{}
	for i, a := range spec.Accesses {
		if a.Action != policy.ActionUnknown && !has(vocabulary.Actions, a.Action) {
			return nil, invalid(http.StatusBadRequest, "BadRequest", fmt.Sprintf("spec.accesses[%d].action: protocol %s has no %q: it has %s", i, protocol, a.Action, words(vocabulary.Actions)))
		}
		op.Accesses = append(op.Accesses, policy.Access{Action: a.Action, Resource: a.Resource})
	}
	for i, property := range spec.Properties {
		if !has(vocabulary.Properties, property) {
			return nil, invalid(http.StatusBadRequest, "BadRequest", fmt.Sprintf("spec.properties[%d]: protocol %s has no %q: it has %s", i, protocol, property, words(vocabulary.Properties)))
		}
	}
	slices.SortFunc(op.Accesses, func(a, b policy.Access) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Resource, b.Resource))
	})
	op.Accesses = slices.Compact(op.Accesses)
	op.Properties = slices.Compact(slices.Sorted(slices.Values(spec.Properties)))
	return op, nil
}

func words(terms []policy.Term) string {
	names := make([]string, len(terms))
	for i := range terms {
		names[i] = terms[i].Name
	}
	return strings.Join(names, ", ")
}

// answer is what the caller is told.
func (q *question) answer(r *access.Review) (answer any, outcome string) {
	if q.operation == nil {
		status := &wire.RulesStatus{
			Connection: q.connection, Connect: string(r.Effect), Reason: string(r.Reason), Message: r.Message, Until: r.Until,
			Rules: []wire.Rule{}, Restricted: r.Permitted.Restricted, Incomplete: r.Permitted.Incomplete, Limits: limits(&r.Limits),
		}
		var resources []string
		everything := r.Permitted.Incomplete
		for _, p := range r.Permitted.Rules {
			status.Rules = append(status.Rules, wire.Rule{Effect: string(p.Effect), Actions: p.Actions, Resources: p.Resources, Properties: p.Properties})
			resources = append(resources, p.Resources...)
			everything = everything || len(p.Resources) == 0
		}
		if everything {
			resources = []string{"*"}
		}
		status.Masks = q.masks(r.Masks, resources)
		return wire.SelfRulesReview{TypeMeta: wire.TypeMeta{APIVersion: wire.Version, Kind: wire.RulesKind}, Status: status}, "Rules"
	}
	status := &wire.AccessStatus{
		Connection: q.connection, Effect: string(r.Effect), Approvals: r.Approvals, Reason: string(r.Reason), Message: r.Message, Until: r.Until, Limits: limits(&r.Limits),
	}
	spec := wire.AccessSpec{Connection: q.connection, Properties: q.operation.Properties}
	var resources []string
	for _, a := range q.operation.Accesses {
		spec.Accesses = append(spec.Accesses, wire.Access{Action: a.Action, Resource: a.Resource})
		resources = append(resources, a.Resource)
	}
	status.Masks = q.masks(r.Masks, resources)
	return wire.SelfAccessReview{TypeMeta: wire.TypeMeta{APIVersion: wire.Version, Kind: wire.AccessKind}, Spec: spec, Status: status}, string(r.Effect)
}

// masks are those that may be about resources. Which others there are is not asked, nor
// how values are masked, which their looks tell.
func (q *question) masks(all []policy.Mask, resources []string) []wire.Mask {
	// Where the parts of a field begin with those of a resource, its fields are below it.
	shape, _, _ := strings.Cut(q.vocabulary.Resource, ",")
	var fields []string
	if strings.HasPrefix(q.vocabulary.Field, shape+".") {
		fields = []string{}
		for _, resource := range resources {
			if resource != "" {
				fields = append(fields, resource+".*")
			}
		}
	}
	var found []wire.Mask
	for i := range all {
		own := wire.Mask{Detect: all[i].Detect}
		for _, glob := range all[i].Fields {
			if fields == nil || slices.ContainsFunc(fields, func(field string) bool { return policy.Overlap(glob, field) }) {
				own.Fields = append(own.Fields, glob)
			}
		}
		if len(own.Fields)+len(own.Detect) > 0 {
			found = append(found, own)
		}
	}
	slices.SortFunc(found, compareMasks)
	return slices.CompactFunc(found, func(a, b wire.Mask) bool { return compareMasks(a, b) == 0 })
}

func compareMasks(a, b wire.Mask) int {
	return cmp.Or(slices.Compare(a.Fields, b.Fields), slices.Compare(a.Detect, b.Detect))
}

func limits(l *policy.Limits) wire.Limits {
	all := wire.Limits{
		SessionSeconds: l.SessionSeconds, IdleSeconds: l.IdleSeconds, ConcurrentSessions: l.ConcurrentSessions,
		OutliveTokenSeconds: l.OutliveTokenSeconds,
		RowsPerStatement:    l.RowsPerStatement, BytesPerStatement: l.BytesPerStatement,
	}
	for _, w := range l.Windows {
		all.Windows = append(all.Windows, wire.Window(w))
	}
	return all
}
