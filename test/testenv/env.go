// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/relay"
	"github.com/doorward/doorward/test/testcert"
)

// startTimeout bounds the start of one server, on a busy two-core machine.
const startTimeout = 2 * time.Minute

// Env is a running control plane.
type Env struct {
	// RESTConfig is a cluster admin's (group system:masters), through the forwarder. It has
	// no client-side rate limit. Copy it before changing it.
	RESTConfig *rest.Config
	// Direct is RESTConfig past the forwarder: it works while the API is closed.
	Direct *rest.Config
	// Kubeconfig is the path of a kubeconfig with the identity of RESTConfig.
	Kubeconfig string
	// AuditLogPath is the API server's audit log, one JSON event per line.
	AuditLogPath string
	// Dir holds data, certificates and logs.
	Dir string
	// Assets is the folder of the binaries, kubectl among them.
	Assets string

	ca                *testcert.CA // signs the server's and the users' certificates
	forwarder         *relay.Relay
	etcd              *etcd
	apiserver         *apiserver
	controllerManager *proc.Process
	ownsDir           bool
	stops             []func() error // run in reverse order
}

// Start runs a control plane until [Env.Stop]. The context bounds the start only.
func Start(ctx context.Context, options Options) (_ *Env, err error) {
	e := &Env{Dir: options.Dir, Assets: options.Assets}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Stop())
		}
	}()
	if e.Assets == "" {
		if e.Assets, err = Assets(ctx); err != nil {
			return nil, err
		}
	}
	if err := e.makeDir(); err != nil {
		return nil, err
	}
	progress := options.Progress
	if progress == nil {
		progress = io.Discard
	}
	for _, step := range []struct {
		what string
		skip bool
		do   func(context.Context, Options) error
	}{
		{what: "etcd and kube-apiserver", do: e.startServers},
		{what: "custom resource definitions", skip: !options.CRDs, do: e.installCRDs},
		{what: "admission policies", skip: !options.Admission, do: e.installAdmission},
		{what: "kube-controller-manager", skip: !options.ControllerManager, do: e.startControllerManager},
	} {
		if step.skip {
			continue
		}
		fmt.Fprintf(progress, "control plane: %s\n", step.what)
		if err := step.do(ctx, options); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// StartT is [Start] for one test; the control plane ends with it.
func StartT(tb testing.TB, options Options) *Env {
	tb.Helper()
	e, err := Start(tb.Context(), options)
	if err != nil {
		tb.Fatalf("cannot start a control plane: %v", err)
	}
	tb.Cleanup(func() {
		if err := e.Stop(); err != nil {
			tb.Errorf("cannot stop the control plane: %v", err)
		}
	})
	return e
}

// Run is the body of a TestMain: it starts a control plane, stores it in env, runs the tests
// and returns the status to exit with.
func Run(m *testing.M, options Options, env **Env) int {
	e, err := Start(context.Background(), options)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot start a control plane:", err)
		return 1
	}
	*env = e
	status := m.Run()
	if err := e.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot stop the control plane:", err)
		status = max(status, 1)
	}
	return status
}

// Stop ends every process and removes the folder, unless the caller named it.
func (e *Env) Stop() error {
	var errs []error
	for i := len(e.stops) - 1; i >= 0; i-- {
		errs = append(errs, e.stops[i]())
	}
	e.stops = nil
	if e.ownsDir {
		errs = append(errs, os.RemoveAll(e.Dir))
	}
	return errors.Join(errs...)
}

// CloseAPI cuts every connection through the forwarder and refuses new ones.
func (e *Env) CloseAPI() error { return e.forwarder.Close() }

// BlackHole leaves connections open, and accepts new ones, but lets no byte through.
func (e *Env) BlackHole() { e.forwarder.BlackHole() }

// Resume undoes [Env.CloseAPI] and [Env.BlackHole].
func (e *Env) Resume() error { return e.forwarder.Resume() }

// Host returns the address of the API server as clients use it, as "https://host:port".
func (e *Env) Host() string { return e.RESTConfig.Host }

// CAPEM returns the certificate to trust for [Env.Host].
func (e *Env) CAPEM() []byte { return e.ca.PEM }

func (e *Env) makeDir() (err error) {
	if e.Dir == "" {
		e.ownsDir = true
		if e.Dir, err = os.MkdirTemp("", "doorward-testenv-"); err != nil {
			return fmt.Errorf("cannot make the control plane's folder: %w", err)
		}
	}
	if e.Dir, err = filepath.Abs(e.Dir); err != nil {
		return fmt.Errorf("cannot resolve the control plane's folder: %w", err)
	}
	if err := os.MkdirAll(e.Dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the control plane's folder: %w", err)
	}
	return nil
}

// startServers starts etcd, kube-apiserver and the forwarder, and makes the admin.
func (e *Env) startServers(ctx context.Context, options Options) (err error) {
	if e.ca, err = testcert.NewCA("doorward-testenv"); err != nil {
		return err
	}
	if e.etcd, err = startEtcd(ctx, e.Assets, e.Dir); err != nil {
		return err
	}
	e.stops = append(e.stops, e.etcd.stop)
	if e.apiserver, err = startAPIServer(ctx, e, e.etcd.endpoint, options); err != nil {
		return err
	}
	e.stops = append(e.stops, e.apiserver.stop)
	e.AuditLogPath = e.apiserver.auditLog
	if e.forwarder, err = relay.Start(relay.To(e.apiserver.address)); err != nil {
		return err
	}
	e.stops = append(e.stops, e.forwarder.Stop)
	if e.RESTConfig, err = e.AddUser("admin", "system:masters"); err != nil {
		return err
	}
	e.Direct = rest.CopyConfig(e.RESTConfig)
	e.Direct.Host = "https://" + e.apiserver.address
	if e.Kubeconfig, err = e.WriteKubeconfig("admin", e.RESTConfig); err != nil {
		return err
	}
	return nil
}
