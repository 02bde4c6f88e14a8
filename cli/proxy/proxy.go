// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package proxy is the plugin's verbs about proxies: enrolling one that runs beside its
// target.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/controllers/enrol"
)

// NewCommand returns the command proxy.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Enrol proxies that run beside their targets",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newEnrol(streams))
	return cmd
}

type enrolOptions struct {
	genericiooptions.IOStreams
	cluster *cluster.Flags
	request enrol.Request
}

func newEnrol(streams genericiooptions.IOStreams) *cobra.Command {
	o := &enrolOptions{IOStreams: streams, cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "enrol CONNECTION --out DIRECTORY",
		Short: "Make what an External proxy is started with",
		Long: `Make what an External proxy of a Connection is started with: a kubeconfig for its own
ServiceAccount, the authorities of the manager, and its command line.

The token in the kubeconfig is good for an hour at most. The proxy renews it itself, so
start it within that hour. You must be allowed to create tokens of the ServiceAccount
"doorward-CONNECTION". Deleting that ServiceAccount revokes the enrolment.

Each proxy that runs at the same time has an instance of its own: enrol once for each.
Several on one machine need a port each for recordings: --recordings-address. Where the
manager reaches the proxy at another address than it listens on, or it listens on all,
start it with --advertise-address besides.`,
		Example: `  # Enrol, and start the proxy on this machine
  kubectl doorward proxy enrol orders-db --namespace shop-access --out ./orders-db
  xargs -a ./orders-db/flags proxy --advertise-address=192.0.2.7`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("one Connection is needed: give its name, or NAMESPACE/NAME")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.request.Directory, "out", "", "Directory to write kubeconfig, ca.crt and flags into.")
	flags.StringVar(&o.request.OperatorNamespace, "operator-namespace", "doorward-system", "Namespace of the manager.")
	flags.StringVar(&o.request.Instance, "instance", "", "ID of the proxy instance. CONNECTION-HOSTNAME where unset.")
	flags.StringVar(&o.request.Listen, "listen", "", "Address to listen on, host:port. All addresses and the Connection's port where unset.")
	flags.StringVar(&o.request.Recordings, "recordings-address", "", "Address to give the manager recordings at, host:port; none for nowhere. That of --listen with port 8447 where unset.")
	o.cluster.Add(cmd)
	return cmd
}

func (o *enrolOptions) run(ctx context.Context, given string) error {
	if o.request.Directory == "" {
		return errors.New("no directory: give --out, where kubeconfig, ca.crt and flags are to be written")
	}
	namespace, name, both := strings.Cut(given, "/")
	if !both {
		var err error
		name = given
		if namespace, _, err = o.cluster.ToRawKubeConfigLoader().Namespace(); err != nil {
			return fmt.Errorf("cannot tell the namespace: %w", err)
		}
	}
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("not a Connection: %q: want NAME, or NAMESPACE/NAME", given)
	}
	o.request.Namespace, o.request.Connection = namespace, name
	if o.request.Instance == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("cannot find the host name: %w: give --instance", err)
		}
		o.request.Instance = name + "-" + host
	}
	config, err := o.cluster.ToRESTConfig()
	if err != nil {
		return fmt.Errorf("cannot ask the cluster: %w", err)
	}
	c, err := o.cluster.Client()
	if err != nil {
		return err
	}
	arguments, err := enrol.Enrol(ctx, config, c, o.request)
	if err != nil {
		return err
	}
	fmt.Fprintln(o.Out, "proxy", enrol.CommandLine(arguments, " "))
	return nil
}
