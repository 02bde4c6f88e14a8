// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/accesspolicy"
	"github.com/doorward/doorward/controllers/approvalrequest"
	"github.com/doorward/doorward/controllers/auditlog"
	"github.com/doorward/doorward/controllers/auditsession"
	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/controllers/clusteraccesspolicy"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/connection"
	"github.com/doorward/doorward/controllers/enforcement"
	"github.com/doorward/doorward/controllers/enrol"
	"github.com/doorward/doorward/controllers/identityprovider"
	"github.com/doorward/doorward/controllers/inforce"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/controllers/logsink"
	tell "github.com/doorward/doorward/controllers/notify"
	"github.com/doorward/doorward/controllers/publish"
)

// addControllers reads or makes the keys and adds everything that runs.
// It returns how to learn whether the manager is stuck.
func addControllers(ctx context.Context, mgr ctrl.Manager, direct client.Client, o Options, constraints ca.Constraints) (alive func() error, err error) {
	user, err := whoAmI(ctx, direct)
	if err != nil {
		return nil, err
	}
	key, err := publish.LoadKey(ctx, direct, o.Namespace)
	if err != nil {
		return nil, err
	}
	if err := publishKey(ctx, direct, o.Namespace, publish.EncodePublic(key)); err != nil {
		return nil, err
	}
	maskKeys, err := publish.LoadMaskKeys(ctx, direct, o.Namespace)
	if err != nil {
		return nil, err
	}
	protocols := compile.NewProtocols(o.Protocols...)
	recorder := mgr.GetEventRecorder(recorderName)
	rotated := make(chan event.GenericEvent, 1)
	rotate := notify(rotated)
	var authority, hosts *ca.Store
	rotatedOne := func(ctx context.Context, _ []byte) error {
		rotate()
		return trustEverywhere(ctx, direct, o.Namespaces, authority, hosts)
	}
	authority = ca.NewStore(direct, o.Namespace, constraints, rotatedOne)
	hosts = ca.NewHostStore(direct, o.Namespace, constraints, rotatedOne)
	publisher := publish.New(direct, mgr.GetCache(), key)
	counted, err := figuresOf(o, publisher)
	if err != nil {
		return nil, err
	}
	approvals := make(chan event.GenericEvent, 1)
	prover, err := enforcement.New(enforcement.Options{
		Client: direct, ManagerUser: user, Namespace: o.Namespace, MACKey: derive(key.Seed(), "enforcement"),
		ProbeNamespace: probeNamespace(mgr.GetClient(), o.Namespaces), Changed: notify(approvals),
	})
	if err != nil {
		return nil, err
	}
	tried := make(chan event.GenericEvent, triedQueue)
	ways, err := directWay(o, tried)
	if err != nil {
		return nil, err
	}
	deliveries := logsink.NewDeliveries()
	checkModule := remembered(o.CheckModule)
	audits, configMaps := inforce.NewAudits(time.Now), kit.NewConfigMaps(mgr.GetClient(), mgr.GetCache())
	connections := connection.New(connection.Options{
		Client: mgr.GetClient(), Metadata: mgr.GetCache(), Publisher: publisher, Authority: authority, HostAuthority: hosts, Protocols: protocols,
		Events: recorder, Image: o.ProxyImage, Pods: o.ProxyPods, SnapshotKey: publish.EncodePublic(key),
		Namespace: o.Namespace, Namespaces: o.Namespaces, ConfigMaps: configMaps, Deliveries: deliveries, MaskKey: maskKeys.For, Live: mgr.GetAPIReader(), DirectWay: ways, Tried: tried,
		CheckModule: checkModule, Audits: audits, Portal: portalOf(o.Login),
	})
	requests := approvalrequest.New(approvalrequest.Options{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Believer: prover, Events: recorder, Judged: counted.Approval, BrokeGlass: counted.BreakGlass,
	})
	logs := auditlog.New(auditlog.Options{Client: mgr.GetClient(), Keys: auditlog.NewKeys(direct, o.Namespace), Events: recorder})
	for _, err := range []error{
		connections.SetupWithManager(mgr, rotated),
		logs.SetupWithManager(ctx, mgr),
		(&accesspolicy.Reconciler{Client: mgr.GetClient(), ConfigMaps: configMaps, Snapshots: publisher, Audits: audits, Protocols: protocols, CheckModule: checkModule}).SetupWithManager(mgr),
		(&clusteraccesspolicy.Reconciler{Client: mgr.GetClient(), Metadata: mgr.GetCache(), Snapshots: publisher, Audits: audits, Protocols: protocols}).SetupWithManager(mgr),
		requests.SetupWithManager(mgr, approvals),
		(&auditsession.Reconciler{Client: mgr.GetClient(), Events: recorder, Shared: counted.Shared}).SetupWithManager(ctx, mgr),
		(&identityprovider.Reconciler{Client: mgr.GetClient()}).SetupWithManager(mgr),
		logsink.New(logsink.Options{Client: mgr.GetClient(), Namespace: o.Namespace, Deliveries: deliveries}).SetupWithManager(mgr),
		tell.New(tell.Options{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Metadata: mgr.GetCache(), Namespace: o.Namespace, Events: recorder, Figures: counted,
			Loopback: o.DirectWay.Loopback,
		}).SetupWithManager(mgr),
		prover.SetupWithManager(mgr), mgr.Add(authority), mgr.Add(hosts), mgr.Add(publisher), mgr.Add(prover), mgr.Add(ways),
		addLogin(ctx, mgr, direct, o, authority, user),
		addRecordings(ctx, mgr, direct, o, authority, key, counted),
	} {
		if err != nil {
			return nil, fmt.Errorf("cannot add to the manager: %w", err)
		}
	}
	return publisher.Alive, watchState(o, mgr, prover, authority, hosts)
}

// notify returns a function that raises an event if none is waiting.
func notify(events chan<- event.GenericEvent) func() {
	return func() {
		select {
		case events <- event.GenericEvent{Object: &metav1.PartialObjectMetadata{}}:
		default:
		}
	}
}

// publishKey writes the public key where whoever enrols a proxy finds it: in the
// operator's namespace, out of reach of those who write Secrets and ConfigMaps
// beside Connections.
func publishKey(ctx context.Context, c client.Client, namespace, key string) error {
	return kit.Apply(ctx, c, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: enrol.KeyConfigMapName, Namespace: namespace,
			Labels: map[string]string{kit.LabelManagedBy: "doorward", kit.LabelName: "doorward"},
		},
		Data: map[string]string{enrol.KeyConfigMapKey: key},
	})
}

// trustEverywhere publishes the bundles in the namespaces that the manager was
// given, before there is a Connection; connections do it in theirs. SSH host authorities
// that cannot be read, which their Store logs, stay published as they are.
func trustEverywhere(ctx context.Context, c client.Client, namespaces []string, authority, hosts *ca.Store) error {
	if len(namespaces) == 0 {
		return nil
	}
	state, err := authority.State(ctx)
	if err != nil {
		return err
	}
	hostState, hostsErr := hosts.State(ctx)
	for _, namespace := range namespaces {
		lines := hostState.Bundle()
		if hostsErr != nil {
			if lines, err = connection.PublishedHosts(ctx, c, namespace); err != nil {
				return err
			}
		}
		if err := kit.Apply(ctx, c, connection.TrustBundle(namespace, state.Bundle(), lines)); err != nil {
			return err
		}
	}
	return nil
}

// probeNamespace returns where forged requests are sent: a namespace that the
// manager was given, else one that holds a Connection.
func probeNamespace(reader client.Reader, namespaces []string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if len(namespaces) > 0 {
			return namespaces[0], nil
		}
		var all v1alpha1.ConnectionList
		if err := reader.List(ctx, &all); err != nil {
			return "", fmt.Errorf("cannot list Connections: %w", err)
		}
		if len(all.Items) == 0 {
			return "", errors.New("there is no Connection yet")
		}
		return all.Items[0].Namespace, nil
	}
}
