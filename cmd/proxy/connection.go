// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"k8s.io/klog/v2"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity/provider"
	"github.com/doorward/doorward/proxy/kube"
	"github.com/doorward/doorward/proxy/policy/rego"
	"github.com/doorward/doorward/proxy/protocol/all"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/server"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/proxy/upstream"
)

// claimRetry is the pause between attempts to claim the instance id while the
// API server does not answer; checkEvery is how often files are looked at.
const (
	claimRetry = 2 * time.Second
	checkEvery = 20 * time.Second
)

// servingSource has what clients know the proxy by.
type servingSource interface {
	server.CertificateSource
	// HostKeys are the SSH host keys of a Connection whose protocol uses them.
	HostKeys() ([]ssh.Signer, error)
}

// connection is everything one Connection needs.
type connection struct {
	proxy           *proxy
	namespace, name string
	problems        *kube.Problems
	gate            *access.Gate
	protocols       *server.Protocols
	approvals       *kube.Approvals
	// approved follows the approvals of scope Session.
	approved     *kube.SessionApprovals
	secret       *kube.Credentials // nil where the credential is mounted
	serving      *kube.ServingCertificate
	certificates servingSource
	snapshots    *kube.Snapshots
	reporter     *kube.Reporter
	// secrets are the credentials of the LogSinks.
	secrets *kube.SinkSecrets
	// recordings is where recordings are given to the manager; nil for nowhere.
	recordings net.Listener
	// logins looks at who is logged in at the targets.
	logins *server.Logins

	mu      sync.Mutex // guards current
	current *snapshot.Snapshot

	// checking makes one look at the credential follow the other. It guards read, the
	// last that could be read, and unread, why the present one never could.
	checking sync.Mutex
	read     snapshot.Credential
	unread   error
}

// connect wires one Connection.
func (p *proxy) connect(fullName string) (*connection, error) {
	namespace, name, _ := strings.Cut(fullName, "/")
	o, log := p.options, p.log.WithValues("Connection", klog.KRef(namespace, name))
	c := &connection{
		proxy: p, namespace: namespace, name: name, problems: kube.NewProblems(), secrets: p.secrets[fullName],
		protocols: server.NewProtocols(all.Protocols()), unread: errors.New("no snapshot says yet which credential to read"),
		approvals: kube.NewApprovals(p.client, namespace, name, o.instance, log),
	}
	if o.credentialDir == "" {
		c.secret = kube.NewCredentials(p.client, c.checkCredential)
	}
	if o.servingDir != "" {
		c.certificates = &server.CertificateDir{Path: o.servingDir}
	} else {
		c.serving = &kube.ServingCertificate{Client: p.client, Namespace: namespace, Name: name, Problems: c.problems, NeedHostKeys: c.protocols.UsesHostKeys}
		c.certificates = c.serving
	}
	var err error
	c.gate, err = access.NewGate(access.Config{
		Connection: snapshot.Connection{Namespace: namespace, Name: name}, Log: p.spool,
		Instance: o.instance, Tag: instanceTag(o.instance, p.nonce), Siblings: c.siblings,
		NewEngine: rego.NewEngine, NewVerifier: provider.Snapshot(p.pool, p.reviewer), Approvals: c.approvals,
		Dialer: &server.Dialer{Credentials: c.credential}, TLS: server.TLS(c.certificates), HostKeys: c.certificates.HostKeys, DeviceLogins: p.deviceLogins,
		Observers: p.observers(fullName), Sharing: p.sharing,
		Trouble: func(refusal string, cause error) {
			if errors.Is(cause, context.Canceled) {
				// The client left, or the session ended, before it came to that.
				log.V(1).Info("Refused nobody who is still there", "told", refusal, "err", cause.Error())
				return
			}
			log.Error(cause, "Refused", "told", refusal)
		},
	})
	if err != nil {
		return nil, err
	}
	c.approved = &kube.SessionApprovals{Client: p.client, Namespace: namespace, Name: name, Gate: c.gate, Log: log}
	c.snapshots = &kube.Snapshots{
		Client: p.client, Namespace: namespace, Name: name, Key: o.snapshotKey, Gate: c.gate,
		Revisions: p.state, Recorder: p.spool, Problems: c.problems, Log: log, Applied: c.applied,
	}
	c.reporter = &kube.Reporter{
		Client: p.client, Namespace: namespace, Name: name, Instance: o.instance, Nonce: p.nonce,
		Revision: c.gate.Revision, Wants: c.snapshots.Wants, Problems: c.problems, Log: log,
		Sinks:  func() []report.Sink { return sinkReports(p.delivery.Statuses()) },
		Target: c.target, Audits: func() []report.Audit { return auditReports(c.gate.Audits()) },
	}
	c.logins = &server.Logins{
		Connection: fullName, Gate: c.gate, Protocols: c.protocols, Metrics: p.logins, Log: log, Changed: c.problems.Wake,
	}
	return c, nil
}

// claim claims the instance id. Only the API server can tell, so it is waited for.
func (c *connection) claim(ctx context.Context) error {
	for {
		err := c.reporter.Claim(ctx)
		if err == nil || errors.Is(err, kube.ErrDuplicateInstance) {
			return err
		}
		c.proxy.log.Error(err, "Cannot claim the instance id yet", "retryAfter", claimRetry.String())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(claimRetry):
		}
	}
}

// start runs what keeps the connection up to date.
func (c *connection) start(ctx context.Context, running *sync.WaitGroup) {
	running.Go(func() { c.snapshots.Run(ctx) })
	running.Go(func() { c.approvals.Run(ctx) })
	running.Go(func() { c.approved.Run(ctx) })
	running.Go(func() { c.reporter.Run(ctx) })
	running.Go(func() { c.proxy.sessions.Terminations(ctx, c.namespace, c.name, c.gate) })
	running.Go(func() { c.look(ctx) })
	running.Go(func() { c.watchLog(ctx) })
	running.Go(func() { c.secrets.Run(ctx) })
	if c.secret != nil {
		running.Go(func() { c.secret.Run(ctx) })
	}
	if c.serving != nil {
		running.Go(func() { c.serving.Run(ctx) })
	}
}

// applied follows a snapshot that came into force.
func (c *connection) applied(s *snapshot.Snapshot) {
	c.mu.Lock()
	c.current = s
	c.mu.Unlock()
	c.secrets.Applied(s)
	c.proxy.delivery.Want(c.namespace+"/"+c.name, s)
	if err := c.protocols.Use(s.Protocol); err != nil {
		c.proxy.log.Error(err, "Cannot serve")
		c.problems.Set(v1alpha1.ConditionAccepted, v1alpha1.ReasonUnsupportedProtocol, err.Error())
	} else {
		c.problems.Clear(v1alpha1.ConditionAccepted)
	}
	if c.secret != nil && s.Credential.Type == "Secret" {
		c.secret.Applied(s)
	}
	c.check()
}

// credential finds the source that a snapshot names.
func (c *connection) credential(s *snapshot.Snapshot) (upstream.CredentialSource, error) {
	switch {
	case s.Credential.Type == "File" && filepath.IsAbs(s.Credential.File):
		return upstream.Dir{Path: s.Credential.File, Private: true}, nil
	case s.Credential.Type == "File":
		return nil, fmt.Errorf("credential directory must be absolute: %q", s.Credential.File)
	case s.Credential.Type != "Secret":
		return nil, fmt.Errorf("type of credential unknown to this proxy: %q: upgrade the proxy to the manager's version", s.Credential.Type)
	case c.secret != nil:
		return c.secret, nil
	default:
		return upstream.Dir{Path: c.proxy.options.credentialDir}, nil
	}
}

// look checks every now and then what is on disk.
func (c *connection) look(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.check()
		}
	}
}

// check reports on the credential and the serving certificate.
func (c *connection) check() {
	c.checkCredential()
	if c.serving != nil {
		c.serving.Report()
		return
	}
	if err := c.unproven(); err != nil {
		c.problems.Set(v1alpha1.ConditionServingCertificateReady, v1alpha1.ReasonCertificateFailed, err.Error())
	} else {
		c.problems.Clear(v1alpha1.ConditionServingCertificateReady)
	}
}

// checkCredential reports on the credential. Who is logged in at the targets is looked
// at once it could be read.
func (c *connection) checkCredential() {
	c.checking.Lock()
	defer c.checking.Unlock()
	s := c.snapshot()
	if s == nil {
		return
	}
	source, err := c.credential(s)
	if err != nil {
		c.problems.Set(v1alpha1.ConditionCredentialAvailable, v1alpha1.ReasonCredentialRejected, err.Error())
	} else if err = kube.CheckCredential(source, s, c.problems); err == nil {
		c.read = s.Credential
	}
	if c.unread = nil; c.read != s.Credential {
		c.unread = err
		s = nil
	}
	c.logins.Want(s)
}

func (c *connection) snapshot() *snapshot.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// unreadCredential says why the credential has never been read; nil where it has,
// though it may be away for a moment, as while it is replaced.
func (c *connection) unreadCredential() error {
	c.checking.Lock()
	defer c.checking.Unlock()
	return c.unread
}

// ready says why nobody could be let in now, or nil.
func (c *connection) ready() error {
	if err := c.gate.Ready(); err != nil {
		return err
	}
	return c.unproven()
}

// unproven says what the proxy lacks to prove itself to clients, or nil.
func (c *connection) unproven() error {
	_, err := c.certificates.Certificate()
	if err == nil && c.protocols.UsesHostKeys() {
		_, err = c.certificates.HostKeys()
	}
	return err
}
