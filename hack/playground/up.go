// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testenv"
)

// house is what the playground has beside the stack's shop.
//
//go:embed house.yaml
var house string

// people are "user groups" of whom there are kubeconfigs.
var people = []string{"alice analysts", "bob dba", "carol shop-admins"}

// playground is a running stack with the files that people need beside it.
type playground struct {
	*stack.Stack
	host   *stack.Host
	offer  *offer
	binary string
}

// start brings everything up in a folder, which is emptied first.
func start(ctx context.Context, dir string, out io.Writer) (*playground, error) {
	if err := claim(dir); err != nil {
		return nil, err
	}
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find the other programs: %w", err)
	}
	offer, err := newOffer(ctx)
	if err != nil {
		return nil, err
	}
	s, err := stack.Start(ctx, stack.Options{
		Dir: dir, Progress: out, Binaries: stack.Beside(binary),
		ManagerArgs: offer.managerArgs(), ProxyArgs: offer.proxyArgs(),
	})
	if err != nil {
		return nil, fmt.Errorf("%w\nlogs are in %s", err, filepath.Join(dir, "logs"))
	}
	p := &playground{Stack: s, offer: offer, binary: binary}
	fmt.Fprintln(out, "  starting: SSH server and its proxy")
	if p.host, err = s.StartShopHost(ctx, recordingsOf(stack.HostConnection)); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start the SSH server: %w\nlogs are in %s", err, s.Logs()), s.Stop())
	}
	err = errors.Join(
		p.Apply(ctx, house),
		p.openHost(ctx),
		p.openPortal(ctx),
		os.WriteFile(filepath.Join(dir, "canary"), []byte(s.Canary), 0o600),
		os.WriteFile(filepath.Join(dir, "env"), []byte(strings.Join(p.exports(), "\n")+"\n"), 0o600),
	)
	for _, as := range people {
		if err == nil {
			_, err = p.kubeconfig(as)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return p, nil
}

// claim empties the folder of an earlier run. A folder that is something else
// is left alone.
func claim(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the playground's folder: %w", err)
	}
	if !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "issuer" }) {
		return fmt.Errorf("folder %q is not empty and no earlier playground: name another by PLAYGROUND", dir)
	}
	return os.RemoveAll(dir)
}

func (p *playground) variables() [][2]string {
	return [][2]string{
		{"PLAYGROUND", p.Dir},
		{"KUBECONFIG", p.Control.Kubeconfig},
		{"KUBECONFIG_ALICE", filepath.Join(p.Dir, "alice.kubeconfig")},
		{"KUBECONFIG_BOB", filepath.Join(p.Dir, "bob.kubeconfig")},
		{"KUBECONFIG_CAROL", filepath.Join(p.Dir, "carol.kubeconfig")},
		{"PSQL_SHOP", p.PSQL(p.Proxy())},
		{"PORTAL", p.offer.portal()},
		{"RECORDINGS", p.offer.recordings},
		{"RELEASES", p.releases()},
		{"SSH_CONFIG", p.sshConfig()},
		{"REVIEW", p.offer.review},
		{"SSHD_LOG", p.host.Target.LogPath},
		// Where the plugin keeps logins: those of the playground end with it.
		{"XDG_CONFIG_HOME", filepath.Join(p.Dir, "config")},
		{"PATH", strings.Join([]string{filepath.Dir(p.Plugin()), p.Control.Assets, p.Postgres.BinDir, os.Getenv("PATH")}, string(os.PathListSeparator))},
	}
}

func (p *playground) exports() []string {
	lines := []string{
		"# A token, which is the password, and psql through the proxy:",
		"#   export PGPASSWORD=$(bin/playground token alice --groups analysts)",
		"#   psql \"$PSQL_SHOP\"",
	}
	for _, v := range p.variables() {
		lines = append(lines, fmt.Sprintf("export %s='%s'", v[0], v[1]))
	}
	return lines
}

// environ is the environment of a person who sourced the env file.
func (p *playground) environ() []string {
	env := os.Environ()
	for _, v := range p.variables() {
		env = append(env, v[0]+"="+v[1])
	}
	return append(env, "PSQLRC=/dev/null", "PGCONNECT_TIMEOUT=20")
}

// kubeconfig writes one for "user groups", whose tokens the issuer makes when
// kubectl asks.
func (p *playground) kubeconfig(as string) (string, error) {
	user, groups, _ := strings.Cut(as, " ")
	name := user
	if !slices.Contains(people, as) {
		name = strings.NewReplacer(" ", "-", ",", "-").Replace(as)
	}
	path := filepath.Join(p.Dir, name+".kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"playground": {
			Server: p.Control.Host(), CertificateAuthorityData: p.Control.CAPEM(),
		}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{user: {Exec: &clientcmdapi.ExecConfig{
			APIVersion: "client.authentication.k8s.io/v1", Command: p.binary, InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
			Args: []string{"token", user, "--groups", groups, "--audience", stack.KubernetesAudience, "--exec-credential"},
			Env:  []clientcmdapi.ExecEnvVar{{Name: "PLAYGROUND", Value: p.Dir}},
		}}},
		Contexts:       map[string]*clientcmdapi.Context{"playground": {Cluster: "playground", AuthInfo: user, Namespace: stack.Namespace}},
		CurrentContext: "playground",
	}, path)
	if err != nil {
		return "", fmt.Errorf("cannot write a kubeconfig: %w", err)
	}
	return path, nil
}

// up leaves a playground running until the context ends.
func up(ctx context.Context, dir string) (err error) {
	fmt.Println("Starting the playground (half a minute; more the first time) ...")
	p, err := start(ctx, dir, os.Stdout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	fmt.Printf(`
The playground runs. In another terminal, in this folder:

  source %s/env

  # as Alice, an analyst:
  export PGPASSWORD=$(bin/playground token alice --groups analysts)
  psql "$PSQL_SHOP" -c 'SELECT * FROM customers LIMIT 3'
  psql "$PSQL_SHOP" -c "UPDATE orders SET status = 'refunded' WHERE id = 7"

  # the psql line in full:
  psql "%s"

  # as Bob, who may approve:
  kubectl --kubeconfig "$KUBECONFIG_BOB" get approvalrequests

  # at the login portal, as whoever bin/playground browser is told to be:
  kubectl doorward login --portal "$PORTAL" --ca-file "$PLAYGROUND/ca.crt" --device

  # who has logged in there, at the SSH server:
  kubectl doorward connect shop-host -- uptime

  # there by plain ssh, which shows a link to log in by:
  ssh -F "$SSH_CONFIG" shop-host uptime

  # as the cluster's admin:
  kubectl get doorward -A

A further Connection: apply one with placement External, then
  bin/playground proxy NAME

Records: %s   Logs: %s
Ctrl-C stops everything.
`, dir, p.PSQL(p.Proxy()), p.Records(), p.Logs())
	<-ctx.Done()
	fmt.Println("\nStopping ...")
	return nil
}

// demo tells the story on a playground of its own.
func demo(ctx context.Context, dir string) (err error) {
	dir = filepath.Join(filepath.Dir(dir), filepath.Base(dir)+"-demo")
	fmt.Println("Starting a playground for the demo ...")
	p, err := start(ctx, dir, os.Stdout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	t := &teller{
		out: os.Stdout, env: p.environ(), pause: waitForEnter, kubeconfig: p.kubeconfig,
		token: func(as string) (string, error) {
			user, groups, _ := strings.Cut(as, " ")
			return p.Issuer.Token(stack.GatewayAudience, user, split(groups)...)
		},
	}
	if err := t.tell(ctx, story); err != nil {
		return fmt.Errorf("%w\nlogs are in %s", err, p.Logs())
	}
	fmt.Println("\n\033[1mEvery step did what it says.\033[0m")
	return nil
}

// runProxy starts the proxy of a further Connection in this process' place.
func runProxy(ctx context.Context, dir string, args []string) error {
	set := flag.NewFlagSet("proxy", flag.ContinueOnError)
	port := set.Int("port", 0, "port to listen on; spec.proxy.external.port where 0")
	connection, err := parse(set, args)
	if err != nil {
		return err
	}
	if connection == "" {
		return errors.New("which Connection? playground proxy CONNECTION")
	}
	s, err := stack.Attach(ctx, dir, filepath.Join(testenv.Root(), "bin", "proxy"))
	if err != nil {
		return err
	}
	p, err := s.StartProxy(ctx, stack.ProxyOptions{Connection: connection, Port: *port, Args: []string{recordingsOf(connection)}})
	if err != nil {
		return err
	}
	database, err := databaseOf(ctx, s, connection)
	if err != nil {
		return errors.Join(err, p.Stop())
	}
	fmt.Printf("The proxy of Connection %q listens on %s. Its log: %s\nCtrl-C stops it.\n\n  psql \"%s\"\n",
		connection, p.Address, p.Log(), s.PSQLOf(p, database))
	select {
	case <-ctx.Done():
		return p.Stop()
	case <-p.Done():
		return fmt.Errorf("the proxy ended: %w; see %s", p.Err(), p.Log())
	}
}

// databaseOf is the first database that a Connection leads to.
func databaseOf(ctx context.Context, s *stack.Stack, name string) (string, error) {
	var connection v1alpha1.Connection
	if err := s.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: name}, &connection); err != nil {
		return "", fmt.Errorf("cannot read Connection %q: %w", name, err)
	}
	var options struct {
		Databases []string `json:"databases"`
	}
	if connection.Spec.Options != nil {
		if err := json.Unmarshal(connection.Spec.Options.Raw, &options); err != nil {
			return "", fmt.Errorf("cannot read the options of Connection %q: %w", name, err)
		}
	}
	if len(options.Databases) == 0 {
		return stack.Database, nil
	}
	return options.Databases[0], nil
}
