// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"github.com/doorward/doorward/proxy/policy"
)

// subjectIndex is what the library finds a caller's policies by: names and groups
// directly, everything else one by one.
type subjectIndex struct {
	users, groups map[string][]any
	others        []any
}

func newSubjectIndex() *subjectIndex {
	return &subjectIndex{users: map[string][]any{}, groups: map[string][]any{}, others: []any{}}
}

func (x *subjectIndex) add(number int, subjects []policy.Subject) {
	for i := range subjects {
		s := &subjects[i]
		entry := map[string]any{"policy": number, "provider": s.Provider}
		switch s.Kind {
		case policy.User:
			x.users[s.Name] = append(x.users[s.Name], entry)
		case policy.Group:
			x.groups[s.Name] = append(x.groups[s.Name], entry)
		default:
			x.others = append(x.others, map[string]any{"policy": number, "subject": subjectData(s)})
		}
	}
}

func subjectData(s *policy.Subject) map[string]any {
	data := map[string]any{"kind": s.Kind, "name": s.Name, "provider": s.Provider}
	if s.Kind == policy.Claim {
		data["values"] = globData(s.Values)
	}
	if s.Kind == policy.AllOf {
		all := make([]any, len(s.All))
		for i := range s.All {
			all[i] = subjectData(&s.All[i])
		}
		data["all"] = all
	}
	return data
}

func anys[T any](values []T) []any {
	list := make([]any, len(values))
	for i := range values {
		list[i] = values[i]
	}
	return list
}

func indexData(index map[string][]any) map[string]any {
	data := make(map[string]any, len(index))
	for name, entries := range index {
		data[name] = entries
	}
	return data
}
