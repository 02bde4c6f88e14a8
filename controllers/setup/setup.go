// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package setup puts the manager together: caches, keys, reconcilers and what
// runs beside them. cmd/manager gives it flags; suites give it what they test.
package setup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/connection"
	"github.com/doorward/doorward/controllers/directway"
	"github.com/doorward/doorward/controllers/login"
)

// How leaders follow each other. One that dies without a word is followed by another
// within leaseDuration and two retries, well before the shortest maxStalenessSeconds,
// 30 s, has passed since its last heartbeat. A leader that does not reach the API
// server for renewDeadline ends, and is started again.
const (
	leaseDuration = 10 * time.Second
	renewDeadline = 7 * time.Second
	retryPeriod   = time.Second
)

// recorderName is the reporting controller of Events.
const recorderName = "doorward-manager"

// Options of the manager. Fields that are not said to be optional are needed.
type Options struct {
	// Config reaches the API server.
	Config *rest.Config
	// Logger is where everything is logged.
	Logger logr.Logger
	// Namespace is the operator's own.
	Namespace string
	// Namespaces are those of Connections. Empty means all, for which the manager
	// needs its namespace rights in the whole cluster.
	Namespaces []string
	// Protocols are those that proxies of this version speak.
	Protocols []compile.Protocol
	// CheckModule says what is wrong with a policy's module of Rego, and which claims of
	// the caller's token it reads. Where it is nil, only the proxies find out what is
	// wrong, which then refuse everything, and no claim is kept for modules.
	CheckModule func(ctx context.Context, text string) (claims []string, err error)
	// ProxyImage is the image of Managed proxies.
	ProxyImage string
	// ProxyPods are settings of the pods of Managed proxies. Optional.
	ProxyPods connection.PodSettings
	// DirectWay are settings of what tries the direct way to isolated targets; its
	// Changed is the manager's own. Optional.
	DirectWay directway.Options
	// Login are settings of the login portal; none is served where they have no address.
	Login login.Settings
	// CADomains and CARanges are what the authority may sign; defaults where nil.
	CADomains, CARanges []string
	// LeaderElection elects one of several managers.
	LeaderElection bool
	// MetricsAddress and HealthAddress are where the manager listens; "0" for not
	// at all.
	MetricsAddress, HealthAddress string
	// RecordingsAddress is where recordings of sessions are served to those who may read
	// them; empty for nowhere.
	RecordingsAddress string
	// Metrics is where the manager's own figures are registered; nowhere where nil.
	Metrics prometheus.Registerer
	// Version is what runs, for the figures.
	Version string
	// UserAgent names the manager in the API server's audit log. Optional.
	UserAgent string
}

// Scheme knows all kinds that the manager handles.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("cannot build scheme: %w", err)
	}
	return scheme, nil
}

// New makes a manager with everything in it. The context bounds what is read
// here; the manager runs under the context of its Start.
func New(ctx context.Context, o Options) (ctrl.Manager, error) {
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	restConfig := rest.CopyConfig(o.Config)
	// The server's priority and fairness bounds the manager; the client's own
	// default would make revocations wait behind heartbeats.
	restConfig.QPS, restConfig.Burst = -1, -1
	if o.UserAgent != "" {
		restConfig.UserAgent = o.UserAgent
	}
	constraints, err := ca.NewConstraints(orDefault(o.CADomains, ca.DefaultDNSDomains), orDefault(o.CARanges, ca.DefaultIPRanges))
	if err != nil {
		return nil, fmt.Errorf("invalid certificate authority settings: %w", err)
	}
	skip := true // suites run several managers in one process
	mgr, err := ctrl.NewManager(restConfig, ctrl.Options{
		Scheme: scheme, Logger: o.Logger,
		Cache: cacheOptions(o.Namespace, o.Namespaces, o.Logger),
		Client: client.Options{Cache: &client.CacheOptions{
			// Never cached: a cache of Secrets would hold every credential.
			DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}},
		}},
		LeaderElection: o.LeaderElection, LeaderElectionID: leaseName, LeaderElectionNamespace: o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 new(leaseDuration), RenewDeadline: new(renewDeadline), RetryPeriod: new(retryPeriod),
		Metrics:                metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress: o.HealthAddress,
		Controller:             config.Controller{SkipNameValidation: &skip},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot make manager: %w", err)
	}
	direct, err := client.New(mgr.GetConfig(), client.Options{Scheme: scheme, Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return nil, fmt.Errorf("cannot make client: %w", err)
	}
	if err := warm(ctx, mgr.GetCache()); err != nil {
		return nil, err
	}
	alive, err := addControllers(ctx, mgr, direct, o, constraints)
	if err != nil {
		return nil, err
	}
	if err := addChecks(mgr, direct, o, alive); err != nil {
		return nil, err
	}
	return mgr, nil
}

// cacheOptions watches the namespaces of Connections. Of Secrets, of which caches
// hold metadata only, the operator's own are watched too: LogSinks name them; and of its
// ConfigMaps the one with the keys of gateway credentials.
func cacheOptions(own string, namespaces []string, log logr.Logger) cache.Options {
	options := cache.Options{NewInformer: newInformer(log), ByObject: map[client.Object]cache.ByObject{
		// Users make them, and who owns which field of them nobody asks.
		&v1alpha1.ApprovalRequest{}: {Transform: cache.TransformStripManagedFields()},
	}}
	if len(namespaces) > 0 {
		options.DefaultNamespaces = map[string]cache.Config{}
		for _, namespace := range namespaces {
			options.DefaultNamespaces[namespace] = cache.Config{}
		}
		secrets := maps.Clone(options.DefaultNamespaces)
		secrets[own] = cache.Config{}
		configMaps := maps.Clone(options.DefaultNamespaces)
		if _, managed := configMaps[own]; !managed {
			configMaps[own] = cache.Config{FieldSelector: fields.OneTermEqualSelector("metadata.name", compile.LoginKeysName)}
		}
		options.ByObject[&corev1.Secret{}] = cache.ByObject{Namespaces: secrets}
		options.ByObject[&corev1.ConfigMap{}] = cache.ByObject{Namespaces: configMaps}
	}
	return options
}

func orDefault(given, otherwise []string) []string {
	if given == nil {
		return otherwise
	}
	return given
}

// whoAmI returns the user name that the API server knows the manager by.
func whoAmI(ctx context.Context, c client.Client) (string, error) {
	review := &authenticationv1.SelfSubjectReview{ObjectMeta: metav1.ObjectMeta{}}
	if err := c.Create(ctx, review); err != nil {
		return "", fmt.Errorf("cannot find out the manager's user name: %w", err)
	}
	return review.Status.UserInfo.Username, nil
}

// derive makes a key for another purpose of the signing key.
func derive(seed []byte, purpose string) []byte {
	sum := sha256.Sum256(append([]byte("doorward.dev/derived/"+purpose+"\n"), seed...))
	return sum[:]
}
