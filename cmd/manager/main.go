// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager runs the controllers. See docs/controllers.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/doorward/doorward/cmd/logging"
	"github.com/doorward/doorward/cmd/profiles"
	"github.com/doorward/doorward/cmd/version"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/connection"
	"github.com/doorward/doorward/controllers/setup"
	"github.com/doorward/doorward/proxy/policy/rego"
	"github.com/doorward/doorward/proxy/protocol/all"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run() error {
	options := setup.Options{CheckModule: rego.CheckModule, UserAgent: "doorward-manager", Metrics: metrics.Registry, Version: version.String()}
	flag.StringVar(&options.Namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the manager, for its keys; POD_NAMESPACE where unset")
	flag.Func("namespaces", "comma-separated namespaces of Connections; all where unset", list(&options.Namespaces))
	flag.StringVar(&options.ProxyImage, "proxy-image", os.Getenv("PROXY_IMAGE"), "image of Managed proxies; PROXY_IMAGE where unset")
	proxyPod := flag.String("proxy-pod", "", "`file` of YAML with settings of the pods of Managed proxies; read at the start")
	flag.Func("ca-permitted-domains", "comma-separated DNS domains the authority may sign; svc, cluster.local and localhost where unset", list(&options.CADomains))
	flag.Func("ca-permitted-ranges", "comma-separated IP ranges the authority may sign; loopback where unset", list(&options.CARanges))
	flag.BoolVar(&options.LeaderElection, "leader-elect", true, "elect one of several managers")
	flag.StringVar(&options.MetricsAddress, "metrics-address", ":8080", "address of metrics; 0 for none")
	flag.StringVar(&options.HealthAddress, "health-address", ":8081", "address of /healthz and /readyz; 0 for none")
	flag.StringVar(&options.Login.Address, "login-address", "", "address of the login portal, such as :8443; no portal where unset")
	flag.StringVar(&options.Login.URL, "login-url", "", "https `URL` that callers reach the login portal by, without a path")
	flag.StringVar(&options.Login.CertificateFile, "login-certificate", "", "`file` of the login portal's serving certificate, in PEM; one of the manager's authority where unset")
	flag.StringVar(&options.Login.KeyFile, "login-key", "", "`file` of that certificate's key, in PEM")
	flag.StringVar(&options.Login.CAFile, "login-ca", "", "`file` of the authorities by which proxies verify that certificate, in PEM; those of the proxies' system where unset")
	flag.Func("login-trusted-proxies", "comma-separated IP ranges whose X-Forwarded-For the login portal believes; none where unset", prefixes(&options.Login.TrustedProxies))
	flag.StringVar(&options.RecordingsAddress, "recordings-address", "", "`host:port` where recordings of sessions are served, over HTTPS, to those who may read them; unset: nowhere")
	showVersion := flag.Bool("version", false, "print the version and exit")
	pprofAddress := flag.String("pprof-address", "", "loopback `host:port` where profiles are served, such as 127.0.0.1:6060; unset: nowhere")
	logs := logging.New()
	logs.AddFlags(flag.CommandLine)
	flag.Parse()
	if *showVersion {
		fmt.Println(version.String())
		return nil
	}
	if options.Namespace == "" {
		options.Namespace = "doorward-system"
	}
	if *proxyPod != "" {
		var err error
		if options.ProxyPods, err = connection.LoadPodSettings(*proxyPod); err != nil {
			return err
		}
	}
	for _, protocol := range all.Protocols() {
		options.Protocols = append(options.Protocols, compile.Protocol(protocol))
	}
	if err := profiles.Check(*pprofAddress); err != nil {
		return err
	}
	logger := logs.Logger(os.Stderr)
	ctrl.SetLogger(logger)
	if err := logs.Route(logger); err != nil {
		return err
	}
	options.Logger = logger

	restConfig, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("cannot find the API server: %w", err)
	}
	options.Config = restConfig
	ctx := ctrl.SetupSignalHandler()
	if err := awaitServer(ctx, restConfig, options.HealthAddress, logger); err != nil || ctx.Err() != nil {
		return err
	}
	manager, err := setup.New(ctx, options)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if err := serveProfiles(ctx, group, *pprofAddress); err != nil {
		return err
	}
	group.Go(func() error { return manager.Start(ctx) })
	return group.Wait()
}

// serveProfiles serves profiles until ctx ends, where an address says so.
func serveProfiles(ctx context.Context, group *errgroup.Group, address string) error {
	listener, err := profiles.Listen(ctx, address)
	if err != nil || listener == nil {
		return err
	}
	group.Go(func() error { return profiles.Serve(ctx, listener) })
	return nil
}

// prefixes reads IP ranges that commas separate.
func prefixes(into *[]netip.Prefix) func(string) error {
	return func(text string) error {
		var ranges []netip.Prefix
		for element := range strings.SplitSeq(text, ",") {
			prefix, err := netip.ParsePrefix(element)
			if err != nil {
				return fmt.Errorf("invalid IP range: %q: write it as 10.0.0.0/8", element)
			}
			ranges = append(ranges, prefix)
		}
		*into = ranges
		return nil
	}
}

// list reads what commas separate. An empty element is refused: where nothing
// means all, a value that was left empty must not widen anything.
func list(into *[]string) func(string) error {
	return func(text string) error {
		elements := strings.Split(text, ",")
		if slices.Contains(elements, "") {
			return fmt.Errorf("invalid list: %q: an element is empty; leave the flag out for what holds where it is unset", text)
		}
		*into = elements
		return nil
	}
}
