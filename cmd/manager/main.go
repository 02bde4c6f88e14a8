// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager runs the controllers. See docs/controllers.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/doorward/doorward/cmd/version"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/connection"
	"github.com/doorward/doorward/controllers/setup"
	"github.com/doorward/doorward/proxy/protocol/all"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run() error {
	options := setup.Options{UserAgent: "doorward-manager"}
	flag.StringVar(&options.Namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the manager, for its keys; POD_NAMESPACE where unset")
	flag.Func("namespaces", "comma-separated namespaces of Connections; all where unset", list(&options.Namespaces))
	flag.StringVar(&options.ProxyImage, "proxy-image", os.Getenv("PROXY_IMAGE"), "image of Managed proxies; PROXY_IMAGE where unset")
	proxyPod := flag.String("proxy-pod", "", "`file` of YAML with settings of the pods of Managed proxies; read at the start")
	flag.Func("ca-permitted-domains", "comma-separated DNS domains the authority may sign; svc, cluster.local and localhost where unset", list(&options.CADomains))
	flag.Func("ca-permitted-ranges", "comma-separated IP ranges the authority may sign; loopback where unset", list(&options.CARanges))
	flag.BoolVar(&options.LeaderElection, "leader-elect", true, "elect one of several managers")
	flag.StringVar(&options.MetricsAddress, "metrics-address", ":8080", "address of metrics; 0 for none")
	flag.StringVar(&options.HealthAddress, "health-address", ":8081", "address of /healthz and /readyz; 0 for none")
	showVersion := flag.Bool("version", false, "print the version and exit")
	logging := textlogger.NewConfig()
	logging.AddFlags(flag.CommandLine)
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
	logger := textlogger.NewLogger(logging)
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	options.Logger = logger

	restConfig, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("cannot find the API server: %w", err)
	}
	options.Config = restConfig
	ctx := ctrl.SetupSignalHandler()
	manager, err := setup.New(ctx, options)
	if err != nil {
		return err
	}
	return manager.Start(ctx)
}

func list(into *[]string) func(string) error {
	return func(text string) error {
		*into = strings.Split(text, ",")
		return nil
	}
}
