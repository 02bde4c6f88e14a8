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
	"strings"
	"unicode"

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
	// client is the program to start, loginName who to be at the target.
	client, loginName string
}

// NewCommand returns the command connect.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &options{IOStreams: streams, cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "connect CONNECTION [-- CLIENT-ARGUMENTS]",
		Short: "Connect to a target through its proxy",
		Long: `Start the client of a Connection's protocol with a token of your login, or open a port
of this machine for tools of your choice.

No process list shows the token: psql gets it in its environment, and ssh asks this
command for it. Where you are logged in at the login portal, ssh gets a certificate
instead. The client's exit code is the command's, and it gets the command's signals.

For SSH, --client starts sftp, scp, rsync or git in place of ssh. To them, the
Connection is a host by its name. Your own configuration of ssh is not read.

With --listen, tools connect to this machine. To a database, it is with a password that
is made for this run: each of their sessions is passed on to the proxy with a token that
is good then, so that the port can stay open longer than a token. Tools for SSH are told
which key and certificate to use. The port is for this machine alone.

A proxy that can only be reached within the cluster is reached by port-forward.`,
		Example: `  # psql
  kubectl doorward connect orders-db

  # One statement
  kubectl doorward connect orders-db -n shop -- -c 'SELECT count(*) FROM orders'

  # A port for a GUI tool
  kubectl doorward connect orders-db --listen 127.0.0.1:15432

  # One command by SSH, as another account than the usual one
  kubectl doorward connect web --login-name deploy -- systemctl status nginx

  # A forwarded port
  kubectl doorward connect web -- -N -L 8080:localhost:80

  # Files
  kubectl doorward connect web --client scp -- ./site.tar web:/srv/web/releases/`,
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
	flags.StringVar(&o.client, "client", "", "Program to start. For SSH one of: (ssh, sftp, scp, rsync, git). The protocol's usual one where unset.")
	flags.StringVar(&o.loginName, "login-name", "", "Account at the target, for SSH. The one that your policies or the credential name where unset.")
	flags.StringVar(&o.caFile, "ca-file", "", "File with the authorities that sign the proxy's certificate, in PEM; for SSH its host key, as lines of known_hosts. The ConfigMap "+endpoint.TrustBundle+" of the Connection's namespace where unset.")
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
	client, err := p.client(o.client)
	if err != nil {
		return err
	}
	switch {
	case o.listen != "" && o.client != "":
		return errors.New("--client and --listen do not go together: no client is started")
	case o.loginName != "" && !p.ssh:
		return fmt.Errorf("--login-name is for SSH, and Connection %q has protocol %q: leave it out", t.name, t.protocol)
	case strings.ContainsFunc(o.loginName, noName):
		return fmt.Errorf("invalid --login-name: want an account, such as deploy: %q", o.loginName)
	}
	if o.listen == "" {
		if _, err = exec.LookPath(client.name); err != nil {
			return fmt.Errorf("no %s on this machine: %w: %s; or use --listen", client.name, err, client.install)
		}
	}
	if t.warning != "" {
		fmt.Fprintf(o.ErrOut, "warning: Connection %s/%s is not ready: %s\n", t.namespace, t.name, t.warning)
	}
	s := &session{target: *t, loginName: o.loginName}
	// Whoever is not logged in is told so before anything is opened.
	if err := o.prove(ctx, &p, s); err != nil {
		return err
	}
	if s.folder, err = os.MkdirTemp("", "doorward-connect-"); err != nil { // mode 0700
		return fmt.Errorf("no folder for the authorities: %w", err)
	}
	defer func() { _ = os.RemoveAll(s.folder) }()
	if s.authorities, err = p.authorities(ctx, c.reader, t.namespace, o.caFile, forward.Role); err != nil {
		return err
	}
	s.caFile = filepath.Join(s.folder, "ca.crt")
	if err := os.WriteFile(s.caFile, s.authorities, 0o600); err != nil {
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
	with, err := p.command(s, client.name, args, os.Environ())
	if err != nil {
		return err
	}
	return runClient(ctx, o.IOStreams, client.name, with.args, with.environment)
}

// prove gets what the client proves its user by.
func (o *options) prove(ctx context.Context, p *protocol, s *session) (err error) {
	if s.token, err = o.token(ctx); err != nil {
		return err
	}
	s.user = login.User(s.token)
	if !p.ssh {
		return nil
	}
	identity, ok, err := login.SSH(ctx, o.login)
	if ok {
		s.ssh = &identity
	}
	return err
}

// noName says which characters no login name has: they end it in what ssh is told, or are a
// Connection's to the proxy.
func noName(r rune) bool {
	return r == '+' || r == '"' || r == '%' || unicode.IsSpace(r) || !unicode.IsPrint(r)
}

// way is the endpoint itself, or a port that is forwarded to it.
func (o *options) way(ctx context.Context, c *lookup, t *target) (endpoint.Way, error) {
	return endpoint.Reach(ctx, c.config, o.forward, t.namespace, t.endpoint, "")
}

// token is one that is good now.
func (o *options) token(ctx context.Context) (string, error) {
	return login.Token(ctx, o.login)
}
