// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recording reads the recording of a session from the manager, with the token by
// which kubeconfig proves its user to the API server.
package recording

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/endpoint"
	"github.com/doorward/doorward/cli/forward"
	"github.com/doorward/doorward/cli/show"
	"github.com/doorward/doorward/proxy/record/extract"
	"github.com/doorward/doorward/proxy/recordings/wire"
)

const (
	// role has the rights of auditors.
	role        = "doorward-auditor"
	dialTimeout = 15 * time.Second
	// lookTimeout is how long the API server may take to say which log a session is in.
	lookTimeout = 15 * time.Second
	// answerTimeout is how long the manager may take until the reading is on record.
	answerTimeout = 90 * time.Second
	maxStatus     = 16 << 10
)

// Source says where recordings are read from.
type Source struct {
	cluster                   *cluster.Flags
	manager, operator, caFile string
}

// NewSource makes a Source for the cluster that the flags say.
func NewSource(flags *cluster.Flags) *Source { return &Source{cluster: flags} }

// Add gives a command the source's flags, beside those of the cluster.
func (s *Source) Add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.manager, "manager", "", "Address of the manager's recordings, as host:port. Unset: a port is forwarded to it through the API server.")
	cmd.Flags().StringVar(&s.operator, "operator-namespace", "doorward-system", "Namespace of the manager.")
	cmd.Flags().StringVar(&s.caFile, "ca-file", "", "File of the authorities that sign the manager's certificate. Unset: the ConfigMap "+endpoint.TrustBundle+".")
}

// Recording is the recording of a session while it is read.
type Recording struct {
	io.Reader
	// Session and Log are what the records must be of.
	Session, Log string
	// Named says that the AuditSession has the log's name, as the API server shows it. Else
	// the manager alone does, whose answer the records are too.
	Named bool

	close func()
}

// Verify says why a recording that holds is not the one that was asked for, or nil.
func (r *Recording) Verify(report *Report) error {
	report.UnnamedLog = !r.Named
	if report.Session != r.Session || report.Log != r.Log {
		return fmt.Errorf("%w: they are those of session %q of log %q", extract.ErrChanged, report.Session, report.Log)
	}
	return nil
}

// Close ends the reading.
func (r *Recording) Close() error {
	if r.close != nil {
		r.close()
	}
	return nil
}

// Open asks for the recording of a session, which is on record from then on. What is
// read is an extract, to be checked. The caller closes it.
func (s *Source) Open(ctx context.Context, name string) (*Recording, error) {
	return s.open(ctx, name, false)
}

// Follow is Open with what comes while the session goes on, for some minutes: the extract
// is to be followed. It ends with the session, or when it is to be asked for anew.
func (s *Source) Follow(ctx context.Context, name string) (*Recording, error) {
	return s.open(ctx, name, true)
}

func (s *Source) open(ctx context.Context, name string, follow bool) (_ *Recording, err error) {
	config, err := s.cluster.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("cannot tell which cluster is meant: %w", err)
	}
	namespace, err := s.cluster.Scope()
	if err != nil {
		return nil, err
	}
	own, err := proven(config)
	if err != nil {
		return nil, err
	}
	if own.TLSClientConfig.CAData, err = s.authorities(ctx, namespace); err != nil {
		return nil, err
	}
	own.TLSClientConfig.ServerName = wire.ServerName(s.operator)
	// The manager does not get to name the log where that can be helped.
	named := s.log(ctx, namespace, name)
	address, done, err := s.way(ctx, config)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			done()
		}
	}()
	dialer := &net.Dialer{Timeout: dialTimeout}
	own.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, address)
	}
	transport, err := rest.TransportFor(own)
	if err != nil {
		return nil, fmt.Errorf("cannot use the credential of kubeconfig: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	body, log, err := s.ask(ctx, transport, namespace, name, follow)
	if err != nil {
		cancel()
		return nil, err
	}
	if named != "" {
		log = named
	}
	return &Recording{Reader: body, Session: name, Log: log, Named: named != "", close: func() { _ = body.Close(); cancel(); done() }}, nil
}

// ask sends the one request. No redirect is followed: the token is for the manager.
func (s *Source) ask(ctx context.Context, transport http.RoundTripper, namespace, name string, follow bool) (body io.ReadCloser, log string, _ error) {
	at := url.URL{Scheme: "https", Host: wire.ServerName(s.operator), Path: wire.RecordingPath(namespace, name)}
	if follow {
		at.RawQuery = wire.FollowQuery
	}
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(answerTimeout, func() { cancel(fmt.Errorf("no answer within %s", answerTimeout)) })
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return nil, "", err
	}
	answer, err := transport.RoundTrip(request)
	if !late.Stop() && err != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel(nil)
		return nil, "", fmt.Errorf("cannot ask the manager: %w", err)
	}
	if answer.StatusCode == http.StatusOK && answer.Header.Get("Content-Type") == extract.MediaType {
		return &cancelling{answer.Body, func() { cancel(nil) }}, answer.Header.Get(wire.LogHeader), nil
	}
	defer cancel(nil)
	defer func() { _ = answer.Body.Close() }()
	return nil, "", refusal(answer)
}

// cancelling ends the request with its answer.
type cancelling struct {
	io.ReadCloser
	cancel func()
}

func (c *cancelling) Close() error {
	c.cancel()
	return c.ReadCloser.Close()
}

// refusal is why the manager gives no recording.
func refusal(answer *http.Response) error {
	var said wire.Status
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxStatus))
	if err != nil || json.Unmarshal(body, &said) != nil || said.Message == "" {
		return fmt.Errorf("the manager gives no recording: it answers %d: is --manager the address of its recordings?", answer.StatusCode)
	}
	return fmt.Errorf("the manager gives no recording: %s: %s", show.Line(said.Reason), show.Line(said.Message))
}

// proven is a client's configuration that proves the user of another to the manager, and
// has nothing else of it.
func proven(config *rest.Config) (*rest.Config, error) {
	if config.Impersonate.UserName != "" {
		return nil, errors.New("--as is not for recordings: the manager knows readers by their own token: leave it out")
	}
	if config.BearerToken == "" && config.BearerTokenFile == "" && config.ExecProvider == nil && config.AuthProvider == nil {
		return nil, errors.New("kubeconfig proves you by something else than a token, such as a client certificate, which the manager cannot have reviewed: " +
			"give one with --token, such as that of \"kubectl create token SERVICEACCOUNT\"")
	}
	return &rest.Config{
		BearerToken: config.BearerToken, BearerTokenFile: config.BearerTokenFile, ExecProvider: config.ExecProvider,
		AuthProvider: config.AuthProvider, AuthConfigPersister: config.AuthConfigPersister, UserAgent: config.UserAgent,
		// The port is forwarded, or reached as it is.
		Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	}, nil
}

// authorities are those that may sign the manager's certificate, in PEM.
func (s *Source) authorities(ctx context.Context, namespace string) ([]byte, error) {
	if s.caFile != "" {
		return endpoint.Authorities(ctx, nil, namespace, s.caFile, role)
	}
	reader, err := s.cluster.Client()
	if err != nil {
		return nil, err
	}
	return endpoint.Authorities(ctx, reader, namespace, "", role)
}

// log is the name of the log that has a session, as its AuditSession says; empty where that
// cannot be read, as by who may read one recording and nothing else.
func (s *Source) log(ctx context.Context, namespace, name string) string {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	reader, err := s.cluster.Client()
	if err != nil {
		return ""
	}
	var session v1alpha1.AuditSession
	if err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &session); err != nil || session.Status.Log == nil {
		return ""
	}
	return session.Status.Log.ID
}

// way is where the manager is reached.
func (s *Source) way(ctx context.Context, config *rest.Config) (address string, done func(), _ error) {
	if s.manager != "" {
		if _, _, err := net.SplitHostPort(s.manager); err != nil {
			return "", nil, fmt.Errorf("invalid --manager: want host:port: %q", s.manager)
		}
		return s.manager, func() {}, nil
	}
	forwarder, err := forward.New(config, s.operator, wire.ServiceName, strconv.Itoa(wire.ServicePort),
		fmt.Sprintf("ask for a role in namespace %q with get on services, list on pods and create on pods/portforward", s.operator))
	if err != nil {
		return "", nil, err
	}
	if address, err = forwarder.Address(ctx); err != nil {
		return "", nil, fmt.Errorf("%w; or give the address of the manager's recordings with --manager", err)
	}
	return address, forwarder.Close, nil
}
