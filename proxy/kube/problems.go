// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"slices"
	"strings"
	"sync"

	"github.com/doorward/doorward/proxy/report"
)

// maxProblemMessage bounds a problem's message, in bytes, so that all of them
// fit a report.
const maxProblemMessage = 1024

// Problems are what keeps one Connection from being served here, one of each
// type at most. Safe for concurrent use.
type Problems struct {
	mu      sync.Mutex // guards all
	all     map[string]report.Problem
	changed chan struct{}
}

// NewProblems makes an empty list.
func NewProblems() *Problems {
	return &Problems{all: map[string]report.Problem{}, changed: make(chan struct{}, 1)}
}

// Set says that there is a problem of a type; the message is bounded.
func (p *Problems) Set(kind, reason, message string) {
	if len(message) > maxProblemMessage {
		message = strings.ToValidUTF8(message[:maxProblemMessage], "")
	}
	problem := report.Problem{Type: kind, Reason: reason, Message: message}
	p.mu.Lock()
	same := p.all[kind] == problem
	p.all[kind] = problem
	p.mu.Unlock()
	if !same {
		p.Wake()
	}
}

// Clear says that there is none of a type.
func (p *Problems) Clear(kind string) {
	p.mu.Lock()
	_, had := p.all[kind]
	delete(p.all, kind)
	p.mu.Unlock()
	if had {
		p.Wake()
	}
}

// List returns the problems, sorted by type.
func (p *Problems) List() []report.Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]report.Problem, 0, len(p.all))
	for _, problem := range p.all {
		list = append(list, problem)
	}
	slices.SortFunc(list, func(a, b report.Problem) int { return strings.Compare(a.Type, b.Type) })
	return list
}

// Wake has the next report written soon.
func (p *Problems) Wake() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}
