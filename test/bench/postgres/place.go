// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/bench/kit"
	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testcert"
)

// place is a target, and a folder for what is put in front of it.
type place struct {
	postgres *pgtest.Server
	password string
	dir      string
	// certificates is the folder of the pair that helpers show; ca trusts it.
	certificates, ca string

	// build is the program that helpers are started from; this one where empty.
	build   string
	helpers []*helper
	// folders are elsewhere, and removed with the helpers.
	folders []string
	made    int
}

// startPlace starts a target alone, without a control plane.
func startPlace(ctx context.Context, scale int) (_ *place, stop func() error, err error) {
	server, err := pgtest.Start(ctx, pgtest.Options{Settings: stack.QuietSettings})
	if err != nil {
		return nil, nil, err
	}
	const password = "bench-password"
	dir, err := os.MkdirTemp("", "doorward-bench-")
	if err != nil {
		return nil, nil, errors.Join(err, server.Stop())
	}
	p, err := newPlace(server, password, dir)
	stop = func() error {
		p.stop()
		return errors.Join(server.Stop(), os.RemoveAll(dir))
	}
	if err == nil {
		err = server.Exec(ctx, "CREATE ROLE "+stack.Role+" LOGIN PASSWORD '"+password+"'", "CREATE DATABASE "+stack.Database+" OWNER "+stack.Role)
	}
	if err == nil {
		err = fill(ctx, p, scale)
	}
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return p, stop, nil
}

// newPlace makes a place of a running target.
func newPlace(server *pgtest.Server, password, dir string) (*place, error) {
	p := &place{postgres: server, password: password, dir: dir, certificates: filepath.Join(dir, "certificates")}
	p.ca = filepath.Join(p.certificates, "ca.crt")
	if err := os.Mkdir(p.certificates, 0o700); err != nil {
		return p, fmt.Errorf("cannot make a folder: %w", err)
	}
	authority, err := testcert.NewCA("doorward-bench")
	if err != nil {
		return p, err
	}
	pair, err := authority.Issue(testcert.Request{CommonName: "localhost", DNSNames: []string{"localhost"}, IPs: []net.IP{net.ParseIP(proc.Loopback)}})
	if err != nil {
		return p, err
	}
	_, _, err = pair.Write(p.certificates, "tls")
	return p, errors.Join(err, os.WriteFile(p.ca, authority.PEM, 0o600))
}

// stop ends all that was started in front of the target.
func (p *place) stop() {
	for _, h := range p.helpers {
		h.Stop()
	}
	for _, dir := range p.folders {
		_ = os.RemoveAll(dir) // a folder that stays costs memory until the next start of the machine
	}
	p.helpers, p.folders = nil, nil
}

// fill makes pgbench's tables.
func fill(ctx context.Context, p *place, scale int) error {
	command := exec.CommandContext(ctx, filepath.Join(p.postgres.BinDir, "pgbench"), "--initialize", "--quiet", "--scale="+strconv.Itoa(scale))
	command.Env = append(os.Environ(), p.direct().env...)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot fill pgbench's tables: %w: %s", err, output)
	}
	return nil
}

// direct has nothing in between.
func (p *place) direct() path {
	return path{name: direct, env: target(strconv.Itoa(p.postgres.Port), p.password, p.postgres.CAPath)}
}

// address is the target's.
func (p *place) address() string {
	return net.JoinHostPort(p.postgres.Host, strconv.Itoa(p.postgres.Port))
}

// Names of paths.
const (
	direct    = "direct"
	pgbouncer = "pgbouncer"
	relayName = "relay"
	doorward  = "doorward"
)

// relay is the plain Go relay.
func (p *place) relay(ctx context.Context) (path, error) {
	h, err := p.start(ctx, "--relay-to="+p.address())
	if err != nil {
		return path{}, err
	}
	return path{name: relayName, env: target(h.port, p.password, p.postgres.CAPath), pid: h.PID()}, nil
}

// layer is a path through a part of the proxy.
type layer struct {
	name string
	spec partialSpec
	// policies are in force, masks among them; everything is allowed otherwise.
	masks []policy.Mask
}

// The layers, each the one before and one thing more. Parsing and deciding
// cannot be switched off in a proxy that fails closed: the first leaves the
// protocol out with them, an engine that allows everything the deciding.
const (
	layerTLS    = "relay with TLS"
	layerParse  = "+ protocol, parse"
	layerDecide = "+ decide"
	layerMask   = "+ mask"
	layerEncode = "+ record, forgotten"
	layerMemory = "+ record, in memory"
	layerDisk   = "+ record, on disk"
)

// layers are the paths of all layers. The mask is on a column of the table that
// pgbench reads: every answer is looked at.
func (p *place) layers(ctx context.Context, only string) ([]path, error) {
	masks := []policy.Mask{mask("filler", "public.pgbench_accounts.filler")}
	all := []layer{
		{name: layerParse, spec: partialSpec{Log: logNothing, AllowAll: true}},
		{name: layerDecide, spec: partialSpec{Log: logNothing}},
		{name: layerMask, spec: partialSpec{Log: logNothing}, masks: masks},
		{name: layerEncode, spec: partialSpec{Log: logEncode}, masks: masks},
		{name: layerDisk, spec: partialSpec{Log: logSpool, Spool: filepath.Join(p.dir, fmt.Sprintf("spool-%d", p.made))}, masks: masks},
	}
	if _, err := os.Stat(tmpfs); err == nil && strings.Contains(layerMemory, only) {
		dir, err := os.MkdirTemp(tmpfs, "doorward-bench-")
		if err != nil {
			return nil, fmt.Errorf("cannot keep a log in memory: %w", err)
		}
		p.folders = append(p.folders, dir)
		all = append(all, layer{name: layerMemory, spec: partialSpec{Log: logSpool, Spool: dir}, masks: masks})
	}
	var paths []path
	if strings.Contains(layerTLS, only) {
		opened, err := p.tlsRelay(ctx)
		if err != nil {
			return nil, err
		}
		paths = append(paths, opened)
	}
	for _, l := range all {
		if !strings.Contains(l.name, only) {
			continue
		}
		made, err := p.partial(ctx, l)
		if err != nil {
			return nil, err
		}
		paths = append(paths, made)
	}
	return paths, nil
}

// tlsRelay is the first layer.
func (p *place) tlsRelay(ctx context.Context) (path, error) {
	specPath, err := p.write(tlsRelaySpec{Target: p.address(), TargetCA: string(p.postgres.CAPEM), Certificates: p.certificates})
	if err != nil {
		return path{}, err
	}
	h, err := p.start(ctx, "--tls-relay="+specPath)
	if err != nil {
		return path{}, err
	}
	// The certificate that the client sees is not the one that the target binds
	// its proof to.
	env := append(target(h.port, p.password, p.ca), "PGCHANNELBINDING=disable")
	return path{name: layerTLS, env: env, pid: h.PID(), telling: h.telling}, nil
}

// partial starts a layer of the proxy.
func (p *place) partial(ctx context.Context, l layer) (path, error) {
	l.spec.Snapshot = p.snapshot(snapshot.Target{Host: p.postgres.Host, Port: int32(p.postgres.Port)}, string(p.postgres.CAPEM), l.masks)
	return p.serve(ctx, l.name, l.spec)
}

// serve starts what a spec describes; what it leaves empty is the place's own.
func (p *place) serve(ctx context.Context, name string, spec partialSpec) (path, error) {
	if spec.Credential == nil {
		t := spec.Snapshot.Targets[0]
		spec.Credential = map[string][]byte{
			"username": []byte(stack.Role), "password": []byte(p.password), "connection": []byte(stack.Connection),
			"addresses": []byte(net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))),
		}
	}
	spec.Certificates, spec.Groups = p.certificates, []string{"analysts"}
	specPath, err := p.write(spec)
	if err != nil {
		return path{}, err
	}
	h, err := p.start(ctx, "--partial="+specPath)
	if err != nil {
		return path{}, err
	}
	return path{name: name, env: target(h.port, "any-token", p.ca), pid: h.PID(), telling: h.telling}, nil
}

// write keeps a spec in a file of its own.
func (p *place) write(spec any) (string, error) {
	content, err := json.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("cannot encode what to serve: %w", err)
	}
	p.made++
	name := filepath.Join(p.dir, fmt.Sprintf("spec-%d.json", p.made))
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return "", fmt.Errorf("cannot write what to serve: %w", err)
	}
	return name, nil
}

// snapshot is what a manager would make of a Connection and one AccessPolicy.
func (*place) snapshot(t snapshot.Target, ca string, masks []policy.Mask) *snapshot.Snapshot {
	rule := func(name string, actions ...string) policy.Rule {
		return policy.Rule{Name: name, Effect: policy.Allow, Actions: actions, Resources: []string{"*"}}
	}
	return &snapshot.Snapshot{
		Schema:     snapshot.Schema,
		Connection: snapshot.Connection{Namespace: stack.Namespace, Name: stack.Connection, UID: "bench", Generation: 1},
		Revision:   1, Time: time.Now(), Protocol: "postgres", Targets: []snapshot.Target{t},
		TLS: snapshot.TLS{Mode: "VerifyFull", ServerName: "localhost", CA: ca}, Options: json.RawMessage(`{"databases":["` + stack.Database + `"]}`),
		MaxStalenessSeconds: 3600, IdentityProviders: []snapshot.IdentityProvider{{Name: "company", Type: "OIDC"}},
		Policies: policy.Set{Policies: []policy.Policy{{
			Name: "bench", UID: "bench", Generation: 1, Subjects: []policy.Subject{{Kind: "Group", Name: "analysts", Provider: "company"}},
			Rules: []policy.Rule{
				rule("session", "evaluate", "transaction", "session", "show", "set"), rule("read", "select"), rule("write", "update", "insert"),
			},
			Masks: masks,
		}}},
	}
}

func mask(name string, fields ...string) policy.Mask {
	return policy.Mask{Name: name, Fields: fields, Method: policy.Method{Type: "Redact"}}
}

// helper is this command, run again as a server.
type helper struct {
	*kit.Helper
	port string
	// telling is where it tells of itself, empty where it does not.
	telling string
}

// start starts a helper. It says its addresses on its first line.
func (p *place) start(ctx context.Context, argument string) (*helper, error) {
	started, err := kit.StartHelper(ctx, p.build, argument)
	if err != nil {
		return nil, err
	}
	h := &helper{Helper: started}
	p.helpers = append(p.helpers, h)
	if len(h.Said) > 1 {
		h.telling = h.Said[1]
	}
	if _, h.port, err = net.SplitHostPort(h.Said[0]); err != nil {
		return nil, fmt.Errorf("cannot read the address of %q: %w", argument, err)
	}
	return h, nil
}
