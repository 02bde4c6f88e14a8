// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connect is the plugin's verb connect: it finds a Connection, starts the client
// of its protocol with a token, or opens a port of this machine for tools that cannot get
// one. What is particular to a protocol is a row of a table.
package connect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/endpoint"
	"github.com/doorward/doorward/cli/forward"
	"github.com/doorward/doorward/cli/login"
)

// options are the flags of connect.
type options struct {
	genericiooptions.IOStreams
	cluster *cluster.Flags
	login   login.Selection
	caFile  string
	listen  string
	forward string
}

// NewCommand returns the command connect.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &options{IOStreams: streams, cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "connect CONNECTION [-- CLIENT-ARGUMENTS]",
		Short: "Connect to a target through its proxy",
		Long: `Start the client of a Connection's protocol with a token of your login, or open a port
of this machine for tools of your choice.

The client gets the token in its environment, which no process list shows. Its exit
code is the command's, and it gets the command's signals.

With --listen, tools connect to this machine with a password that is made for this run.
Each of their sessions is passed on to the proxy with a token that is good then, so
that the port can stay open longer than a token. The port is for this machine alone.

A proxy that can only be reached within the cluster is reached by port-forward.`,
		Example: `  # psql
  kubectl doorward connect orders-db

  # One statement
  kubectl doorward connect orders-db -n shop -- -c 'SELECT count(*) FROM orders'

  # A port for a GUI tool
  kubectl doorward connect orders-db --listen 127.0.0.1:15432`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || cmd.ArgsLenAtDash() == 0 {
				return errors.New("no Connection: give its name: \"kubectl get connections\" lists them")
			}
			if len(args) > 1 && cmd.ArgsLenAtDash() != 1 {
				return fmt.Errorf("unexpected argument %q: put the client's arguments after --", args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0], args[1:]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", "", "Open a port for other tools: ADDRESS:PORT of this machine, or unix:FOLDER for a socket. Without a value, any port.")
	flags.Lookup("listen").NoOptDefVal = "127.0.0.1:0"
	flags.StringVar(&o.forward, "port-forward", endpoint.Auto, "Reach the proxy through the API server. One of: (auto, always, never).")
	flags.StringVar(&o.caFile, "ca-file", "", "File with the authorities that sign the proxy's certificate, in PEM. The ConfigMap "+endpoint.TrustBundle+" of the Connection's namespace where unset.")
	o.login.AddFlags(flags)
	o.cluster.Add(cmd)
	return cmd
}

func (o *options) run(ctx context.Context, name string, args []string) error {
	if err := endpoint.CheckForward(o.forward); err != nil {
		return err
	}
	if o.listen != "" && len(args) > 0 {
		return errors.New("client arguments and --listen do not go together: no client is started")
	}
	c, err := openCluster(o.cluster.ConfigFlags)
	if err != nil {
		return err
	}
	t, err := c.find(ctx, name)
	if err != nil {
		return err
	}
	p, ok := protocols[t.protocol]
	if !ok {
		return fmt.Errorf("no client is known for protocol %q of Connection %q: this plugin knows %s; connect to %s with a client of your own, and a token of \"kubectl doorward token\"",
			t.protocol, t.name, known(), audit.Safe(t.endpoint))
	}
	program := ""
	if o.listen == "" {
		if program, err = exec.LookPath(p.program); err != nil {
			return fmt.Errorf("no %s on this machine: %w: %s; or use --listen", p.program, err, p.install)
		}
	}
	if t.warning != "" {
		fmt.Fprintf(o.ErrOut, "warning: Connection %s/%s is not ready: %s\n", t.namespace, t.name, t.warning)
	}
	// Whoever is not logged in is told so before anything is opened.
	token, err := o.token(ctx)
	if err != nil {
		return err
	}
	s := &session{target: *t, token: token, user: login.User(token)}
	folder, err := os.MkdirTemp("", "doorward-connect-") // mode 0700
	if err != nil {
		return fmt.Errorf("no folder for the authorities: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	authorities, err := endpoint.Authorities(ctx, c.reader, t.namespace, o.caFile, forward.Role)
	if err != nil {
		return err
	}
	s.caFile = filepath.Join(folder, "ca.crt")
	if err := os.WriteFile(s.caFile, authorities, 0o600); err != nil {
		return fmt.Errorf("no file for the authorities: %w", err)
	}
	w, err := o.way(ctx, c, t)
	if err != nil {
		return err
	}
	defer w.Close()
	if o.listen != "" {
		return o.serveLocal(ctx, o.IOStreams, p, s, w)
	}
	if s.dial, err = w.Address(ctx); err != nil {
		return err
	}
	environment, err := p.environment(s, os.Environ())
	if err != nil {
		return err
	}
	return runClient(ctx, o.IOStreams, program, append(p.arguments(s), args...), environment)
}

// way is the endpoint itself, or a port that is forwarded to it.
func (o *options) way(ctx context.Context, c *lookup, t *target) (endpoint.Way, error) {
	return endpoint.Reach(ctx, c.config, o.forward, t.namespace, t.endpoint, "")
}

// token is one that is good now.
func (o *options) token(ctx context.Context) (string, error) {
	return login.Token(ctx, o.login)
}
