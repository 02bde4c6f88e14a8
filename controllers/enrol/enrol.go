// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package enrol makes what an External proxy is started with: a kubeconfig for
// its own ServiceAccount with a token of at most an hour, which the proxy renews
// itself, the public key of snapshots, and its command line.
package enrol

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/recordings/wire"
)

// The ConfigMap, in the operator's namespace, that holds the public key.
const (
	KeyConfigMapName = "doorward-snapshot-key"
	KeyConfigMapKey  = "ed25519.pub"
)

// tokenSeconds is the life of the first token.
const tokenSeconds = 3600

// Nowhere is Request.Recordings of a proxy that gives none.
const Nowhere = "none"

// Request says which proxy to enrol. All fields but Recordings are needed.
type Request struct {
	// Namespace and Connection name the Connection, which must be External.
	Namespace, Connection string
	// OperatorNamespace is where the manager keeps the public key.
	OperatorNamespace string
	// Directory is where everything is written. It is made with mode 0700.
	Directory string
	// Instance is the id of the proxy: one for each that runs at the same time.
	Instance string
	// Listen is the address to listen on, as host:port. A missing port is the
	// Connection's.
	Listen string
	// Recordings is where the proxy gives the manager recordings, as host:port, or Nowhere.
	// The address to listen on, with the port of the convention, where empty.
	Recordings string
}

// Enrol writes the files kubeconfig, ca.crt and flags (one argument a line, quoted as
// xargs and shells read it) into the directory, mode 0600, and returns the arguments.
// Config must be allowed to make a token of the proxy's ServiceAccount.
func Enrol(ctx context.Context, config *rest.Config, c client.Client, r Request) ([]string, error) {
	connection := &v1alpha1.Connection{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: r.Connection}, connection); err != nil {
		return nil, fmt.Errorf("cannot read Connection: %w", err)
	}
	if connection.Spec.Proxy.Placement != v1alpha1.PlacementExternal {
		return nil, fmt.Errorf("cannot enrol: Connection %q has placement %s: the manager runs its proxies", connection.Name, connection.Spec.Proxy.Placement)
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make client: %w", err)
	}
	key, err := snapshotKey(ctx, clients, r.OperatorNamespace)
	if err != nil {
		return nil, err
	}
	bundle, err := clients.CoreV1().ConfigMaps(r.Namespace).Get(ctx, "doorward-trust-bundle", metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot read trust bundle: %w: is the manager running?", err)
	}
	token, err := firstToken(ctx, clients, r)
	if err != nil {
		return nil, err
	}
	directory, err := filepath.Abs(r.Directory)
	if err != nil {
		return nil, fmt.Errorf("cannot name directory: %w", err)
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make directory: %w", err)
	}
	arguments, err := arguments(connection, r, key, directory)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := encodeKubeconfig(config, r, token)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{
		"kubeconfig": kubeconfig,
		"ca.crt":     []byte(bundle.Data["ca.crt"]),
		"flags":      []byte(CommandLine(arguments, "\n") + "\n"),
	} {
		if err := write(filepath.Join(directory, name), content); err != nil {
			return nil, err
		}
	}
	return arguments, nil
}

func snapshotKey(ctx context.Context, clients kubernetes.Interface, namespace string) (string, error) {
	configMap, err := clients.CoreV1().ConfigMaps(namespace).Get(ctx, KeyConfigMapName, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("cannot read the public key of snapshots: %w: is the manager running, and in this namespace?", err)
	}
	key := configMap.Data[KeyConfigMapKey]
	if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != ed25519.PublicKeySize {
		return "", errors.New("cannot read the public key of snapshots: no ed25519 key")
	}
	return key, nil
}

func firstToken(ctx context.Context, clients kubernetes.Interface, r Request) (string, error) {
	seconds := int64(tokenSeconds)
	account := "doorward-" + r.Connection
	token, err := clients.CoreV1().ServiceAccounts(r.Namespace).CreateToken(ctx, account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("cannot make a token for ServiceAccount %q: %w", r.Namespace+"/"+account, err)
	}
	return token.Status.Token, nil
}

// arguments is the proxy's command line.
func arguments(c *v1alpha1.Connection, r Request, key, directory string) ([]string, error) {
	name := c.Namespace + "/" + c.Name
	listen := r.Listen
	if host, port, err := net.SplitHostPort(listen); err != nil || port == "" {
		number := c.Spec.Proxy.External.Port
		if _, text, err := net.SplitHostPort(c.Status.Endpoint); number == 0 && err == nil {
			if n, err := strconv.ParseInt(text, 10, 32); err == nil {
				number = int32(n)
			}
		}
		if number == 0 {
			return nil, errors.New("no port to listen on: give one, or wait until the Connection has an endpoint")
		}
		if err != nil {
			host = listen
		}
		listen = net.JoinHostPort(host, strconv.Itoa(int(number)))
	}
	all := []string{
		"--kubeconfig=" + filepath.Join(directory, "kubeconfig"),
		"--connection=" + name,
		"--listen=" + name + "=" + listen,
		"--snapshot-key=" + key,
		"--spool=" + filepath.Join(directory, "spool"),
		"--instance=" + r.Instance,
	}
	if r.Recordings != Nowhere {
		at, err := recordingsAddress(listen, r.Recordings)
		if err != nil {
			return nil, err
		}
		all = append(all, "--recordings-address="+name+"="+at)
	}
	if file := c.Spec.Credential.File; file != nil {
		all = append(all, "--credential-dir="+file.Path)
	}
	for _, argument := range all {
		if strings.ContainsFunc(argument, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return nil, fmt.Errorf("an argument of the proxy has characters that cannot be written down: %q: correct the Connection or the flag that it comes from", argument)
		}
	}
	return all, nil
}

// recordingsAddress is where recordings are given, as host:port, beside where is listened.
func recordingsAddress(listen, given string) (string, error) {
	if given != "" {
		if _, port, err := net.SplitHostPort(given); err != nil || port == "" {
			return "", fmt.Errorf("not an address to give recordings at: %q: want HOST:PORT, or %q for nowhere", given, Nowhere)
		}
		return given, nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("not an address to listen on: %q: want HOST:PORT", listen)
	}
	served, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return "", fmt.Errorf("not a port to listen on: %q: want a number", port)
	}
	return net.JoinHostPort(host, strconv.Itoa(int(wire.Port(int32(served))))), nil
}

// CommandLine joins arguments as shells and xargs read them: one with any character that
// means something to either is quoted.
func CommandLine(arguments []string, separator string) string {
	quoted := make([]string, 0, len(arguments))
	for _, argument := range arguments {
		if !plain.MatchString(argument) {
			argument = "'" + strings.ReplaceAll(argument, "'", `'"'"'`) + "'"
		}
		quoted = append(quoted, argument)
	}
	return strings.Join(quoted, separator)
}

// plain is what neither shells nor xargs read anything into.
var plain = regexp.MustCompile(`^[A-Za-z0-9._@:+=,/-]+$`)

// encodeKubeconfig takes over how the API server is reached and verified, and
// nothing of who asks.
func encodeKubeconfig(config *rest.Config, r Request, token string) ([]byte, error) {
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("cannot name the API server: %w", err)
	}
	authority := config.CAData
	if len(authority) == 0 && config.CAFile != "" {
		if authority, err = os.ReadFile(config.CAFile); err != nil {
			return nil, fmt.Errorf("cannot read the API server's authority: %w", err)
		}
	}
	if config.Insecure {
		return nil, errors.New("cannot enrol over a connection that does not verify the API server: use a kubeconfig with its certificate authority")
	}
	const entry = "doorward"
	data, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{entry: {Server: server.String(), CertificateAuthorityData: authority, TLSServerName: config.ServerName}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{entry: {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{entry: {Cluster: entry, AuthInfo: entry, Namespace: r.Namespace}},
		CurrentContext: entry,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot encode kubeconfig: %w", err)
	}
	return data, nil
}

// write replaces a file at once, so that a proxy never reads half of it.
func write(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("cannot write: %w", err)
	}
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cannot write: %w", errors.Join(err, os.Remove(temporary.Name())))
	}
	return nil
}
