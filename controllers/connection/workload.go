// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/review/wire"
)

const (
	// defaultReplicas is spec.proxy.managed.replicas where unset.
	defaultReplicas = 2
	// settleSeconds is how long a new pod must have been ready before a rollout
	// goes on.
	settleSeconds = 5
)

var (
	deploymentKind  = appsv1.SchemeGroupVersion.WithKind("Deployment")
	statefulSetKind = appsv1.SchemeGroupVersion.WithKind("StatefulSet")
	serviceKind     = corev1.SchemeGroupVersion.WithKind("Service")
	budgetKind      = policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget")
)

// workload runs the proxies of a Managed Connection, and removes what an earlier
// placement left.
func (r *Reconciler) workload(ctx context.Context, s *scope) error {
	c := s.connection
	name := ObjectName(c.Name)
	number := port(c, r.Protocols)
	if !managed(c) || number == 0 { // without a protocol there is nothing to run
		for _, remove := range []func() error{
			func() error { return r.applier.Remove(ctx, deploymentKind, c, name) },
			func() error { return r.applier.Remove(ctx, statefulSetKind, c, name) },
			func() error { return r.applier.Remove(ctx, serviceKind, c, name) },
			func() error { return r.applier.Remove(ctx, budgetKind, c, name) },
		} {
			if err := remove(); err != nil {
				return err
			}
		}
		return nil
	}
	objects := []client.Object{service(c, number), budget(c)}
	template := r.podTemplate(entrusted(c, s.world), number)
	stale := statefulSetKind
	if spool(c) != nil {
		stale = deploymentKind
		objects = append(objects, statefulSet(c, template))
	} else {
		objects = append(objects, deployment(c, template))
	}
	for _, object := range objects {
		kit.Owned(object, c, "Connection", v1alpha1.GroupVersion.String())
		if err := r.applier.Apply(ctx, object); err != nil {
			return err
		}
	}
	return r.applier.Remove(ctx, stale, c, name)
}

// entrusted is a Connection without its credential Secret where that is not its to
// have: what its proxies can read is not a matter of what they use.
func entrusted(c *v1alpha1.Connection, world compile.World) *v1alpha1.Connection {
	if compile.CredentialFault(c, world.Connections) == nil {
		return c
	}
	c = c.DeepCopy()
	c.Spec.Credential.Secret = nil
	return c
}

func spool(c *v1alpha1.Connection) *v1alpha1.SpoolVolume {
	if c.Spec.Proxy.Managed == nil {
		return nil
	}
	return c.Spec.Proxy.Managed.Spool
}

func replicas(c *v1alpha1.Connection) *int32 {
	n := int32(defaultReplicas)
	if m := c.Spec.Proxy.Managed; m != nil && m.Replicas != 0 {
		n = m.Replicas
	}
	return &n
}

// proxyLabels select the pods of a Connection's proxies.
func proxyLabels(c *v1alpha1.Connection) map[string]string {
	return map[string]string{
		kit.LabelName: "doorward", "app.kubernetes.io/component": "proxy", kit.LabelConnection: c.Name,
	}
}

func service(c *v1alpha1.Connection, number int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: ObjectName(c.Name)},
		Spec: corev1.ServiceSpec{
			Selector: proxyLabels(c),
			Ports: []corev1.ServicePort{
				{
					Name: servicePortName(c), Protocol: corev1.ProtocolTCP,
					Port: number, TargetPort: intstr.FromInt32(containerPort(number)),
				},
				{
					Name: wire.PortName, Protocol: corev1.ProtocolTCP,
					Port: wire.Port(number), TargetPort: intstr.FromInt32(wire.Port(number)),
				},
			},
		},
	}
}

// servicePortName is the protocol's, in as many characters as a port's name may have;
// a protocol could be called like the port of questions.
func servicePortName(c *v1alpha1.Connection) string {
	name := c.Spec.Protocol[:min(15, len(c.Spec.Protocol))]
	if name == wire.PortName {
		return "serve"
	}
	return name
}

func budget(c *v1alpha1.Connection) *policyv1.PodDisruptionBudget {
	one, always := intstr.FromInt32(1), policyv1.AlwaysAllow
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: ObjectName(c.Name)},
		Spec: policyv1.PodDisruptionBudgetSpec{
			// One at a time, also where there is only one: a budget must not keep
			// a node from being drained.
			MaxUnavailable: &one,
			// Nor must proxies that are not ready: those of a Connection at fault
			// may never be.
			UnhealthyPodEvictionPolicy: &always,
			Selector:                   &metav1.LabelSelector{MatchLabels: proxyLabels(c)},
		},
	}
}

func deployment(c *v1alpha1.Connection, template corev1.PodTemplateSpec) *appsv1.Deployment {
	template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{
		Name: spoolVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
	})
	none, one, history := intstr.FromInt32(0), intstr.FromInt32(1), int32(2)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: ObjectName(c.Name)},
		Spec: appsv1.DeploymentSpec{
			Replicas: replicas(c),
			Selector: &metav1.LabelSelector{MatchLabels: proxyLabels(c)},
			Template: template,
			// A rollout never has fewer proxies than are asked for.
			MinReadySeconds: settleSeconds,
			// The Connection says what runs; old ReplicaSets are only cached.
			RevisionHistoryLimit: &history,
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &none, MaxSurge: &one},
			},
		},
	}
}

func statefulSet(c *v1alpha1.Connection, template corev1.PodTemplateSpec) *appsv1.StatefulSet {
	claim := corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: spoolVolume},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: spool(c).Size}},
		},
	}
	if class := spool(c).StorageClassName; class != "" {
		claim.Spec.StorageClassName = &class
	}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: ObjectName(c.Name)},
		Spec: appsv1.StatefulSetSpec{
			Replicas: replicas(c), ServiceName: ObjectName(c.Name),
			PodManagementPolicy:  appsv1.ParallelPodManagement,
			Selector:             &metav1.LabelSelector{MatchLabels: proxyLabels(c)},
			Template:             template,
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{claim},
			// One at a time: each pod has its own volume, and no other can take it.
			MinReadySeconds: settleSeconds,
			UpdateStrategy:  appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType},
			// A claim may hold records that no sink has: deleting it is a person's doing.
			PersistentVolumeClaimRetentionPolicy: &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
				WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
				WhenScaled:  appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
			},
		},
	}
}
