// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
)

// workloads are what the settings of spec.audit are compared with.
var auditWorkloads = []workload{
	{script: selectOnly, mode: prepared, clients: 1},
	{script: selectOnly, mode: prepared, clients: 16},
	{script: "simple-update", mode: prepared, clients: 16},
}

// Paths that every part of the comparison has.
const (
	noRecord = "no record"
	local    = "Local"
)

// auditBench compares settings of spec.audit with each other, with a direct
// connection and with the proxy's packages without a record.
func auditBench(ctx context.Context, rounds int, duration time.Duration, scale int) (err error) {
	s, err := startStack(ctx, scale)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := allow(ctx, s, stack.Connection); err != nil {
		return err
	}
	p, err := stackPlace(s)
	if err != nil {
		return err
	}
	defer p.stop()
	none, err := startForgetful(ctx, s, p)
	if err != nil {
		return err
	}
	token, err := s.Issuer.Token(stack.GatewayAudience, "alice", "analysts")
	if err != nil {
		return err
	}
	a := &auditRun{stack: s, token: token, rounds: rounds, duration: duration, names: []string{stack.Connection}}
	if err := environment(s.Proxy().Spool); err != nil {
		return err
	}

	a.sink = "file"
	paths := []path{p.direct(), none, a.proxied(local, s.Proxy())}
	more, err := a.variants(ctx, []variant{
		{"Local, readOverlap", "overlap", v1alpha1.AuditSettings{ReadOverlap: v1alpha1.ReadOverlapEnabled}},
		{"Local, responses Digest", "digest", v1alpha1.AuditSettings{Responses: v1alpha1.ResponseAuditDigest}},
		{"Local, responses Masked", "masked", v1alpha1.AuditSettings{Responses: v1alpha1.ResponseAuditMasked}},
	})
	if err != nil {
		return err
	}
	fmt.Printf("LogSink of type File\n\n")
	if err := a.compare(ctx, append(paths, more...)); err != nil {
		return err
	}
	if err := profileLayers(ctx, s.Postgres.BinDir, paths[2], s.Proxy().PprofAddress, settings{duration: duration}); err != nil {
		return err
	}

	receiver, err := s.StartReceiver(ctx, "webhook")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, receiver.Stop()) }()
	if err := receiver.Install(ctx); err != nil {
		return err
	}
	if err := s.Admin.Delete(ctx, &v1alpha1.LogSink{ObjectMeta: metav1.ObjectMeta{Name: "file"}}); err != nil {
		return fmt.Errorf("cannot remove the LogSink %q: %w", "file", err)
	}
	a.sink = receiver.Name
	remote, err := a.variants(ctx, []variant{
		{"Remote", "remote", v1alpha1.AuditSettings{Durability: v1alpha1.AuditDurabilityRemote}},
		{"Remote, readOverlap", "remote-overlap", v1alpha1.AuditSettings{Durability: v1alpha1.AuditDurabilityRemote, ReadOverlap: v1alpha1.ReadOverlapEnabled}},
	})
	if err != nil {
		return err
	}
	if err := settle(ctx, s.Proxy(), a.sink); err != nil {
		return err
	}
	fmt.Printf("LogSink of type Webhook, its receiver on the same machine and disk\n\n")
	if err := a.compare(ctx, append([]path{none, a.proxied(local, s.Proxy())}, remote...)); err != nil {
		return err
	}
	if err := profileLayers(ctx, s.Postgres.BinDir, remote[0], a.last.PprofAddress, settings{duration: duration}); err != nil {
		return err
	}
	return environment(s.Proxy().Spool)
}

// auditRun is what the parts of the comparison share.
type auditRun struct {
	stack    *stack.Stack
	token    string
	rounds   int
	duration time.Duration
	// names are the Connections that the policy allows.
	names []string
	// sink is the one LogSink there is.
	sink string
	// last is the first proxy of the variants started last.
	last *stack.Proxy
}

// variant is a Connection to the same target with other settings.
type variant struct {
	name, connection string
	settings         v1alpha1.AuditSettings
}

// proxied is the path through a proxy.
func (a *auditRun) proxied(name string, p *stack.Proxy) path {
	sink := a.sink
	return path{
		name: name, env: target(portOf(p.Address), a.token, a.stack.CAPath), pid: p.PID(),
		settle: func(ctx context.Context) error { return settle(ctx, p, sink) },
	}
}

// compare lets the paths take turns at every workload.
func (a *auditRun) compare(ctx context.Context, paths []path) error {
	for i, w := range auditWorkloads {
		warm := time.Duration(0)
		if i == 0 {
			warm = time.Second
		}
		results, err := measure(ctx, a.stack.Postgres.BinDir, paths, w, turns{rounds: a.rounds, duration: a.duration, warmUp: warm})
		if err != nil {
			return err
		}
		reportAudit(os.Stdout, paths, results, w)
	}
	return nil
}
