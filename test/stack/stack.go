// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testenv"
)

// Names of what every stack holds.
const (
	// Namespace holds the Connections and policies.
	Namespace = "shop"
	// Connection leads to the shop's database.
	Connection = "shop-db"
	// Database is the database of the shop.
	Database = "shop"
	// OperatorNamespace holds the manager's own objects.
	OperatorNamespace = "doorward-system"
	// Role is the shared account at the target.
	Role = "shop_app"
)

// QuietSettings are those of a target that does not log every statement and
// takes the clients of a benchmark.
var QuietSettings = map[string]string{
	"log_statement": "none", "log_connections": "off", "log_disconnections": "off", "max_connections": "400",
}

// ReadyTimeout bounds the wait for a Connection to be ready.
const ReadyTimeout = 90 * time.Second

// Options say how a stack is started. The zero value is fit for suites.
type Options struct {
	// Dir keeps everything; a temporary folder, removed by Stop, where empty.
	Dir string
	// Progress is told what is being started; nobody where nil.
	Progress io.Writer
	// Binaries are the programs to run; they are built where unset.
	Binaries Binaries
	// Race runs the programs under the race detector.
	Race bool
	// MaxStalenessSeconds of the Connection; 300 where zero.
	MaxStalenessSeconds int
	// LeaderElection has managers elect one of them.
	LeaderElection bool
	// DrainTimeout of the proxy; its own default where zero.
	DrainTimeout time.Duration
	// ProxyPort of the shop's proxy; a free one where zero.
	ProxyPort int
	// ProxyArgs are appended to the shop's proxy's command line.
	ProxyArgs []string
	// ProxyEnv is added to the environment of the shop's proxy, as NAME=value.
	ProxyEnv []string
	// ManagerArgs are appended to the manager's command line.
	ManagerArgs []string
	// Pprof makes the shop's proxy serve profiles.
	Pprof bool
	// Quiet keeps the target from logging every statement, for benchmarks.
	Quiet bool
}

// Stack is a running Doorward.
type Stack struct {
	Dir      string
	Control  *testenv.Env
	Issuer   *Issuer
	Postgres *pgtest.Server
	// Admin reads and writes all objects, past the API forwarder.
	Admin client.Client
	// CAPath is the manager's trust bundle: sslrootcert for psql.
	CAPath string
	// Canary is the target's password, to be found nowhere.
	Canary string

	options     Options
	adminConfig *rest.Config
	binaries    Binaries
	ownsDir     bool
	manager     *proc.Process

	// mu guards the lists below.
	mu       sync.Mutex
	proxies  []*Proxy
	managers []*proc.Process
	hosts    []*Host
}

// Start starts all, and returns once the shop's Connection is ready.
func Start(ctx context.Context, options Options) (_ *Stack, err error) {
	if options.Progress == nil {
		options.Progress = io.Discard
	}
	if options.MaxStalenessSeconds == 0 {
		options.MaxStalenessSeconds = 300
	}
	s := &Stack{Dir: options.Dir, options: options, Canary: "canary-" + rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if err := s.makeDirs(); err != nil {
		return nil, err
	}
	if s.Issuer, err = startIssuer(filepath.Join(s.Dir, "issuer")); err != nil {
		return nil, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.startControlPlane(groupCtx) })
	group.Go(func() error { return s.startPostgres(groupCtx) })
	group.Go(func() (err error) {
		if s.binaries = options.Binaries; s.binaries == (Binaries{}) {
			s.progress("programs")
			s.binaries, err = Build(groupCtx, options.Race)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"objects of the operator", s.installOperator},
		{"manager", s.StartManager},
		{"shop: namespace, credential, connection, policies, people", s.installShop},
		{"proxy", s.startShopProxy},
	} {
		s.progress(step.what)
		if err := step.do(ctx); err != nil {
			return nil, fmt.Errorf("cannot start the %s: %w", step.what, err)
		}
	}
	return s, nil
}

// Stop ends all processes, the youngest first.
func (s *Stack) Stop() error {
	var errs []error
	s.mu.Lock()
	proxies := append([]*Proxy(nil), s.proxies...)
	s.mu.Unlock()
	for i := len(proxies) - 1; i >= 0; i-- {
		errs = append(errs, proxies[i].Stop())
	}
	s.mu.Lock()
	managers := append([]*proc.Process(nil), s.managers...)
	hosts := append([]*Host(nil), s.hosts...)
	s.mu.Unlock()
	for _, manager := range managers {
		errs = append(errs, manager.Stop())
	}
	errs = append(errs, s.StopManager())
	if s.Control != nil {
		errs = append(errs, s.Control.Stop())
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Stop())
	}
	for _, host := range hosts {
		errs = append(errs, host.Target.Stop())
	}
	if s.Issuer != nil {
		errs = append(errs, s.Issuer.Stop())
	}
	if s.ownsDir {
		errs = append(errs, os.RemoveAll(s.Dir))
	}
	return errors.Join(errs...)
}

func (s *Stack) progress(what string) { fmt.Fprintln(s.options.Progress, "  starting:", what) }

// Logs is the folder of the programs' own logs.
func (s *Stack) Logs() string { return filepath.Join(s.Dir, "logs") }

// Records is the folder of the LogSink "file".
func (s *Stack) Records() string { return filepath.Join(s.Dir, "records") }

func (s *Stack) makeDirs() (err error) {
	if s.Dir == "" {
		s.ownsDir = true
		if s.Dir, err = os.MkdirTemp("", "doorward-stack-"); err != nil {
			return fmt.Errorf("cannot make the stack's folder: %w", err)
		}
	}
	if s.Dir, err = filepath.Abs(s.Dir); err != nil {
		return fmt.Errorf("cannot resolve the stack's folder: %w", err)
	}
	s.CAPath = caPath(s.Dir)
	for _, dir := range []string{s.Dir, s.Logs(), s.Records(), filepath.Join(s.Dir, "proxies"), filepath.Join(s.Dir, "issuer")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("cannot make the stack's folder: %w", err)
		}
	}
	return nil
}

func (s *Stack) startControlPlane(ctx context.Context) (err error) {
	s.Control, err = testenv.Start(ctx, testenv.Options{
		Dir: filepath.Join(s.Dir, "control-plane"), CRDs: true, Admission: true, ControllerManager: true,
		AuthenticationConfig: s.Issuer.authenticationConfig(), Progress: indent{s.options.Progress},
	})
	if err != nil {
		return fmt.Errorf("cannot start the control plane: %w", err)
	}
	s.adminConfig = s.Control.RESTConfig
	s.Admin, err = NewClient(s.Control.Direct)
	return err
}

func (s *Stack) startPostgres(ctx context.Context) (err error) {
	s.progress("PostgreSQL with the shop")
	options := pgtest.Options{LogPath: s.PostgresLog()}
	if s.options.Quiet {
		options.Settings = QuietSettings
	}
	s.Postgres, err = pgtest.Start(ctx, options)
	if err != nil {
		return err
	}
	return s.seed(ctx)
}

// PostgresLog is the path of the target's own log.
func (s *Stack) PostgresLog() string { return filepath.Join(s.Dir, "postgres.log") }

// User is a client's configuration as a person whom the issuer proves to the API server.
func (s *Stack) User(user string, groups ...string) (*rest.Config, error) {
	token, err := s.Issuer.Token(KubernetesAudience, user, groups...)
	if err != nil {
		return nil, err
	}
	return s.Control.TokenConfig(token), nil
}

// indent marks lines of a part as such.
type indent struct{ out io.Writer }

func (i indent) Write(p []byte) (int, error) {
	if _, err := i.out.Write(append([]byte("  "), p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Plugin is the path of kubectl-doorward.
func (s *Stack) Plugin() string { return s.binaries.Plugin }
