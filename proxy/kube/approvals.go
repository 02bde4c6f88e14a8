// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// askTimeout bounds the creation of a request, and its use: a caller whose
// proxy has lost the API server hears so soon.
const askTimeout = 3 * time.Second

// maxStatement is the number of characters of a statement that approvers see.
const maxStatement = 8192

// Approvals asks for approvals by ApprovalRequest objects of one Connection.
type Approvals struct {
	Client          *Client
	Namespace, Name string
	Instance        string
	Log             logr.Logger

	mu sync.Mutex // guards what follows
	// waiting holds what is asked for, by object name.
	waiting map[string]*pending
	// early holds objects of this instance whose creation has not returned yet
	// when the watch brought them, by object name.
	early  map[string]*v1alpha1.ApprovalRequest
	asking int
	// lists counts how often the follower began anew.
	lists int
}

var _ access.Approvals = (*Approvals)(nil)

// NewApprovals makes the port of one Connection; Run must run for its answers.
func NewApprovals(client *Client, namespace, name, instance string, log logr.Logger) *Approvals {
	return &Approvals{
		Client: client, Namespace: namespace, Name: name, Instance: instance, Log: log,
		waiting: map[string]*pending{}, early: map[string]*v1alpha1.ApprovalRequest{},
	}
}

// Run follows the requests that are waited for until ctx ends.
func (a *Approvals) Run(ctx context.Context) {
	client := a.Client.approvalRequests(a.Namespace)
	f := &follower[*v1alpha1.ApprovalRequest]{
		selector: metav1.ListOptions{LabelSelector: labelConnection + "=" + a.Name},
		list: chosen(client.List, client.Get, a.names, func(name string) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if p := a.waiting[name]; p != nil {
				p.put(nil)
			}
		}),
		watch: client.Watch,
		synced: func(all []*v1alpha1.ApprovalRequest) {
			for _, request := range all {
				a.seen(request, false)
			}
		},
		event: a.seen,
	}
	f.run(ctx)
}

// names are the requests that are waited for.
func (a *Approvals) names() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lists++
	return slices.Sorted(maps.Keys(a.waiting))
}

func (a *Approvals) seen(request *v1alpha1.ApprovalRequest, gone bool) {
	if request.Spec.Holder.ProxyInstance != a.Instance {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.waiting[request.Name]
	switch {
	case p == nil && a.asking > 0 && !gone:
		a.early[request.Name] = request
	case p == nil:
	case gone:
		p.put(nil)
	default:
		p.put(request)
	}
}

// Ask creates the request.
func (a *Approvals) Ask(ctx context.Context, question access.Question) (access.Pending, error) {
	object, err := a.request(question)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client := a.Client.approvalRequests(a.Namespace)
	lists := a.begin()
	defer a.end()
	created, err := client.Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot create ApprovalRequest: %w", err)
	}
	p := &pending{
		approvals: a, wanted: object.Spec, latest: created, changed: make(chan struct{}, 1),
		request: access.Request{
			Namespace: created.Namespace, Name: created.Name, UID: string(created.UID),
			Digest: created.Spec.Operation.Digest, ExpiresAt: created.Spec.ExpiresAt.Time,
		},
	}
	if a.wait(p) == lists {
		return p, nil
	}
	// The follower began anew meanwhile, not knowing of this one.
	latest, err := client.Get(ctx, created.Name, metav1.GetOptions{})
	if err != nil {
		p.Withdraw("")
		return nil, fmt.Errorf("cannot read ApprovalRequest %q: %w", created.Name, err)
	}
	a.seen(latest, false)
	return p, nil
}

// begin has the watch keep what it brings, and returns the count of lists.
func (a *Approvals) begin() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asking++
	return a.lists
}

func (a *Approvals) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asking--
	if a.asking == 0 {
		clear(a.early)
	}
}

// wait enters a request, with what the watch brought of it already, and
// returns the count of lists.
func (a *Approvals) wait(p *pending) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if early := a.early[p.request.Name]; early != nil {
		p.put(early)
	}
	a.waiting[p.request.Name] = p
	return a.lists
}

// request is the object of a question. What an approver reads is the recorded
// form: neutralised, bounded, and saying so where it was cut.
func (a *Approvals) request(q access.Question) (*v1alpha1.ApprovalRequest, error) {
	operation := q.Operation
	if q.Parameters != "" {
		// First, so that no comment of the caller's can stand in their place.
		operation.Statement = "parameters " + q.Parameters + " -- in: " + operation.Statement
	}
	shown, err := record.Decode(record.AppendJSON(nil, record.Position{LogID: a.Instance}, record.Hash{}, &record.Event{
		Type: record.OperationHeld, Actor: &q.Requester, Operation: &operation,
	}))
	if err != nil {
		return nil, fmt.Errorf("cannot show the operation to approvers: %w", err)
	}
	statement, truncation := shown.Operation.Statement, v1alpha1.TruncationNone
	if statement == "" {
		statement = shown.Operation.Kind
	}
	if cut := firstRunes(statement, maxStatement); cut != statement || shown.Operation.Truncated > 0 {
		statement, truncation = cut, v1alpha1.TruncationTruncated
	}
	nonce := sha256.Sum256(q.Nonce[:])
	spec := v1alpha1.ApprovalRequestSpec{
		ConnectionRef: v1alpha1.ConnectionReference{Name: a.Name},
		Scope:         v1alpha1.ApprovalScopeOperation,
		Requester: v1alpha1.Requester{
			Issuer: q.Requester.Issuer, Subject: q.Requester.Subject, Username: q.Requester.KubernetesUser, Groups: q.Requester.Groups,
		},
		Operation: v1alpha1.HeldOperation{
			Digest: q.Operation.Digest, Statement: statement, Truncation: truncation, Properties: shown.Operation.Properties,
		},
		Holder:    v1alpha1.Holder{ProxyInstance: a.Instance, Session: q.Session, Nonce: hex.EncodeToString(nonce[:])},
		Binding:   v1alpha1.Binding{ConnectionUID: q.Connection.UID, ConnectionGeneration: q.Connection.Generation},
		ExpiresAt: metav1.NewTime(q.ExpiresAt.UTC().Truncate(time.Second)),
		Decisions: []v1alpha1.Decision{},
	}
	spec.Operation.Accesses = shownAccesses(shown.Operation.Accesses)
	for _, rule := range q.Rules {
		spec.Binding.Policies = append(spec.Binding.Policies, v1alpha1.BoundRule{
			Name: rule.Policy, UID: rule.UID, Generation: rule.Generation, Rule: rule.Rule,
		})
	}
	spec.Approvers, spec.MinimumApprovals = approvers(q.Terms)
	return &v1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: a.Name + "-", Namespace: a.Namespace, Labels: map[string]string{labelConnection: a.Name},
		},
		Spec: spec,
	}, nil
}

// maxAccesses is the number of accesses that a request may hold.
const maxAccesses = 256

// shownAccesses are what approvers see of the accesses: all that the caller
// named, then what these reach, as far as there is room. A table of many
// partitions can be asked for, and what is named says what is reached.
func shownAccesses(all []record.AccessDocument) []v1alpha1.Access {
	var shown []v1alpha1.Access
	for _, indirect := range []bool{false, true} {
		for _, access := range all {
			if access.Indirect == indirect && (!indirect || len(shown) < maxAccesses) {
				shown = append(shown, v1alpha1.Access{Action: access.Action, Resource: access.Resource})
			}
		}
	}
	return shown
}

// approvers are all that the terms name, each once, and the largest number that
// one of them asks for. The manager holds each rule's terms against the decisions.
func approvers(terms []policy.ApprovalTerms) (all []v1alpha1.Approver, minimum int32) {
	known := map[v1alpha1.Approver]bool{}
	for _, t := range terms {
		minimum = max(minimum, t.Minimum)
		for _, subject := range t.Approvers {
			approver := v1alpha1.Approver{Kind: v1alpha1.ApproverKind(subject.Kind), Name: subject.Name}
			if !known[approver] {
				known[approver] = true
				all = append(all, approver)
			}
		}
	}
	return all, minimum
}

// firstRunes is the first n characters of a text.
func firstRunes(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}
