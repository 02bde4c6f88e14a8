// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command enrol makes what an External proxy of a Connection is started with.
//
//	go run ./hack/enrol --connection shop-access/orders-db --out ./orders-db
//
// It needs a kubeconfig (KUBECONFIG or --kubeconfig) of somebody who may create
// tokens of the proxy's ServiceAccount. Deleting that ServiceAccount revokes the
// enrolment.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/doorward/doorward/controllers/enrol"
	"github.com/doorward/doorward/controllers/setup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "enrol:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	connection := flag.String("connection", "", "the Connection, as namespace/name")
	request := enrol.Request{}
	flag.StringVar(&request.Directory, "out", "", "directory to write kubeconfig, ca.crt and flags into")
	flag.StringVar(&request.OperatorNamespace, "operator-namespace", "doorward-system", "namespace of the manager")
	flag.StringVar(&request.Instance, "instance", "", "id of the proxy instance; the host name where unset")
	flag.StringVar(&request.Listen, "listen", "", "address to listen on, host:port; all addresses and the Connection's port where unset")
	flag.Parse()
	namespace, name, ok := strings.Cut(*connection, "/")
	if !ok || namespace == "" || name == "" || request.Directory == "" {
		return fmt.Errorf("--connection namespace/name and --out directory are needed")
	}
	request.Namespace, request.Connection = namespace, name
	if request.Instance == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("cannot find the host name: %w: give --instance", err)
		}
		request.Instance = name + "-" + host
	}
	restConfig, err := config.GetConfig()
	if err != nil {
		return err
	}
	scheme, err := setup.Scheme()
	if err != nil {
		return err
	}
	c, err := client.New(restConfig, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	arguments, err := enrol.Enrol(ctx, restConfig, c, request)
	if err != nil {
		return err
	}
	fmt.Println("proxy", strings.Join(arguments, " "))
	return nil
}
