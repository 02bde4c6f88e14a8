// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/doorward/doorward/cmd/logging"
	"github.com/doorward/doorward/cmd/profiles"
	"github.com/doorward/doorward/proxy/identity/sharing"
	"github.com/doorward/doorward/proxy/server"
)

// options are the command line.
type options struct {
	connections   []string // namespace/name
	listen        map[string]string
	byName        map[string]bool // served at all addresses of its protocol
	review        map[string]string
	recordings    map[string]string
	kubeconfig    string
	snapshotKey   ed25519.PublicKey
	spool         string
	spoolBytes    int64
	witness       bool
	keyMaxAge     time.Duration
	instance      string
	credentialDir string
	servingDir    string
	shutdownDelay time.Duration
	drainTimeout  time.Duration
	advertise     string
	healthAddress string
	pprofAddress  string
	logging       *logging.Config
	clientParents bool
	sharing       sharing.Options
	version       bool
}

// defaultKeyMaxAge is 90 days.
const defaultKeyMaxAge = 90 * 24 * time.Hour

// errUsage says that the command line was wrong and the usage was shown.
var errUsage = errors.New("usage")

func parse(args []string, output io.Writer) (options, error) {
	o := options{listen: map[string]string{}, byName: map[string]bool{}, review: map[string]string{}, recordings: map[string]string{}, logging: logging.New()}
	hostname, err := os.Hostname()
	if err != nil {
		return o, fmt.Errorf("cannot learn the host's name: %w", err)
	}
	var key string
	flags := flag.NewFlagSet("proxy", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.Func("connection", "Connection to serve, as `namespace/name`; may be given more than once", func(value string) error {
		if err := checkConnection(value); err != nil {
			return err
		}
		o.connections = append(o.connections, value)
		return nil
	})
	flags.Func("listen", "where to listen for a Connection, as `namespace/name=host:port`; one for each Connection", perConnection(o.listen))
	flags.Func("by-name", "Connection, as `namespace/name`, that clients may also reach at the addresses of the other Connections of its protocol, by naming it; may be given more than once", func(value string) error {
		o.byName[value] = true
		return checkConnection(value)
	})
	flags.Func("review-address", "where to answer callers of a Connection what they may do there, as `namespace/name=host:port`; unset: nowhere", perConnection(o.review))
	flags.Func("recordings-address", "where to give the manager the recordings of a Connection's sessions, for those who may read them, as `namespace/name=host:port`; unset: nowhere", perConnection(o.recordings))
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig `file` of a proxy outside of the cluster; its token is renewed in place. Unset: the pod's ServiceAccount")
	flags.StringVar(&key, "snapshot-key", "", "the manager's public key, an ed25519 key in `base64`")
	flags.StringVar(&o.spool, "spool", "", "`directory` of the proxy's log, on a disk that outlives the process")
	flags.Int64Var(&o.spoolBytes, "spool-max-bytes", 0, "size in `bytes` at which the log is full and operations are refused; 0 means 1 GiB")
	flags.StringVar(&o.instance, "instance", hostname, "`id` of this proxy, unique among those of its Connections")
	flags.StringVar(&o.credentialDir, "credential-dir", "", "`directory` where the credential Secret is mounted. Unset: the Secret is read from the API server")
	flags.StringVar(&o.servingDir, "serving-cert-dir", "", "`directory` with tls.crt and tls.key. Unset: the Secret is read from the API server")
	flags.StringVar(&o.advertise, "advertise-address", "", "`IP` address that other proxies of the same Connections reach this one by; unset: that of --listen, where it is one")
	flags.DurationVar(&o.shutdownDelay, "shutdown-delay", 0, "how long clients are still taken after SIGTERM, while /readyz says that the proxy stops")
	flags.DurationVar(&o.drainTimeout, "drain-timeout", server.DefaultDrainTimeout, "how long sessions may go on after SIGTERM and --shutdown-delay")
	flags.StringVar(&o.healthAddress, "health-address", "", "`host:port` of /healthz, /readyz and /metrics; unset: :8081 in a pod, 127.0.0.1:8081 with --kubeconfig")
	flags.StringVar(&o.pprofAddress, "pprof-address", "", "loopback `host:port` where profiles are served, such as 127.0.0.1:6060; unset: nowhere")
	o.logging.AddFlags(flags)
	flags.BoolVar(&o.clientParents, "trace-client-parents", false, "where traces are on, have operations continue the trace that a sqlcommenter comment of their statement names; whoever may connect can then have spans sampled")
	flags.IntVar(&o.sharing.IPv4Bits, "shared-credential-ipv4-bits", sharing.DefaultIPv4Bits, "`length` of the IPv4 prefixes that are one place when a credential is looked for that is used from several")
	flags.IntVar(&o.sharing.IPv6Bits, "shared-credential-ipv6-bits", sharing.DefaultIPv6Bits, "`length` of the IPv6 prefixes that are one place")
	flags.DurationVar(&o.sharing.Window, "shared-credential-window", sharing.DefaultWindow, "how long after a use of a credential another from elsewhere is a finding; sessions that overlap always are")
	flags.BoolVar(&o.witness, "witness", true, "show the log to the manager, its witness, and keep records until it has seen them; false where no manager takes checkpoints")
	flags.DurationVar(&o.keyMaxAge, "log-key-max-age", defaultKeyMaxAge, "`age` from which the key that signs the log is replaced at the start; 0 for never")
	flags.BoolVar(&o.version, "version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		return o, errors.Join(errUsage, err)
	}
	if o.version {
		return o, nil
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument: %q", flags.Arg(0))
	}
	if o.healthAddress == "" {
		// A kubelet probes the pod's address; elsewhere nobody else needs to see it.
		o.healthAddress = ":8081"
		if o.kubeconfig != "" {
			o.healthAddress = "127.0.0.1:8081"
		}
	}
	if o.snapshotKey, err = parseKey(key); err != nil {
		return o, err
	}
	err = o.validate()
	return o, err
}

func (o *options) validate() error {
	switch {
	case len(o.connections) == 0:
		return errors.New("nothing to serve: give --connection=namespace/name")
	case o.spool == "":
		return errors.New("no place for the log: give --spool=DIR")
	case o.keyMaxAge < 0:
		return fmt.Errorf("invalid --log-key-max-age: want a positive time, or 0 for never: %v", o.keyMaxAge)
	case o.sharing.IPv4Bits < 1 || o.sharing.IPv4Bits > 32 || o.sharing.IPv6Bits < 1 || o.sharing.IPv6Bits > 128:
		return errors.New("invalid --shared-credential-ipv4-bits or --shared-credential-ipv6-bits: want 1 to 32, and 1 to 128")
	case o.sharing.Window <= 0 || o.sharing.Window > time.Hour:
		return fmt.Errorf("invalid --shared-credential-window: want a positive time of at most an hour: %v", o.sharing.Window)
	case o.shutdownDelay < 0 || o.drainTimeout < 0:
		return errors.New("invalid --shutdown-delay or --drain-timeout: want a positive time, or 0 for none")
	case o.instance == "" || len(o.instance) > 253 || strings.Trim(o.instance, instanceCharacters) != "":
		return fmt.Errorf("invalid --instance: want 1 to 253 of letters, digits, '-', '_' and '.': %q", o.instance)
	case (o.credentialDir != "" || o.servingDir != "") && len(o.connections) > 1:
		return errors.New("--credential-dir and --serving-cert-dir go with one --connection only")
	}
	if err := errors.Join(profiles.Check(o.pprofAddress), checkAdvertise(o.advertise)); err != nil {
		return err
	}
	for _, dir := range []string{o.credentialDir, o.servingDir} {
		if dir != "" && !filepath.IsAbs(dir) {
			return fmt.Errorf("directory must be absolute: %q", dir)
		}
	}
	seen := map[string]bool{}
	for _, connection := range o.connections {
		if seen[connection] {
			return fmt.Errorf("--connection given twice: %q", connection)
		}
		seen[connection] = true
		if o.listen[connection] == "" {
			return fmt.Errorf("nowhere to listen for connection %q: give --listen=%s=host:port", connection, connection)
		}
	}
	served := func(flag string, named iter.Seq[string]) error {
		for connection := range named {
			if !seen[connection] {
				return fmt.Errorf("%s for a connection that is not served: %q: give --connection=%s", flag, connection, connection)
			}
		}
		return nil
	}
	return errors.Join(
		served("--listen", maps.Keys(o.listen)), served("--by-name", maps.Keys(o.byName)),
		served("--review-address", maps.Keys(o.review)), served("--recordings-address", maps.Keys(o.recordings)),
	)
}

// instanceCharacters may be in an instance id, which is a ConfigMap's key.
const instanceCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

// perConnection keeps namespace/name=host:port, once for each Connection.
func perConnection(addresses map[string]string) func(string) error {
	return func(value string) error {
		connection, address, found := strings.Cut(value, "=")
		if !found {
			return errors.New("want namespace/name=host:port")
		}
		if addresses[connection] != "" {
			return fmt.Errorf("given twice for connection %q", connection)
		}
		addresses[connection] = address
		return checkConnection(connection)
	}
}

func checkConnection(text string) error {
	namespace, name, found := strings.Cut(text, "/")
	if !found || namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("want namespace/name: %q", text)
	}
	return nil
}

func parseKey(text string) (ed25519.PublicKey, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("invalid --snapshot-key: want the base64 of an ed25519 public key, %d bytes", ed25519.PublicKeySize)
	}
	return ed25519.PublicKey(key), nil
}
