// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/review/wire"
)

// What proxies are told on their command line.
const (
	spoolVolume         = "spool"
	spoolDirectory      = "/var/lib/doorward"
	credentialVolume    = "credential"
	credentialDirectory = "/etc/doorward/credential" //nolint:gosec // a folder, not a credential
	tokenVolume         = "api-token"
	tokenDirectory      = "/var/run/secrets/kubernetes.io/serviceaccount" //nolint:gosec // a folder, not a credential
	tokenSeconds        = 3600
	healthPort          = 8081
	user                = 65532
)

// The phases of a pod's stop, in seconds. Meanwhile, at first, its address is
// taken out of the Service everywhere; then sessions go on; then they are ended,
// the log is closed and its records are delivered (docs/operations/proxy.md).
const (
	withdrawSeconds     = 5
	defaultDrainSeconds = 30
	closingSeconds      = 25
)

// Of a claim, the log takes this part; the least is what a log needs to begin.
const (
	spoolPercent    = 85
	leastSpoolBytes = 16 << 20
)

// How many probes, one every 5 s, may fail. At the start the log is read, which
// takes its time where it is large and the process before was killed.
const (
	failures        = 3
	startupFailures = 120
)

// podTemplate is the pod of a Managed proxy. It meets the restricted Pod Security
// Standard. The credential is mounted, so that the ServiceAccount need not read it.
func (r *Reconciler) podTemplate(c *v1alpha1.Connection, number int32) corev1.PodTemplateSpec {
	labels := proxyLabels(c)
	labels[kit.LabelManagedBy] = "doorward"
	name := c.Namespace + "/" + c.Name
	yes, no, id, grace, mode := true, false, int64(user), graceSeconds(c), int32(0o440)
	container := corev1.Container{
		Name:  "proxy",
		Image: r.Pods.image(r.Image),
		Args: []string{
			"--connection=" + name,
			fmt.Sprintf("--listen=%s=:%d", name, containerPort(number)),
			fmt.Sprintf("--review-address=%s=:%d", name, wire.Port(number)),
			fmt.Sprintf("--recordings-address=%s=:%d", name, recordingsPort(number)),
			"--credential-dir=" + credentialDirectory,
			"--snapshot-key=" + r.SnapshotKey,
			"--spool=" + spoolDirectory,
			fmt.Sprintf("--spool-max-bytes=%d", spoolBytes(c)),
			"--instance=$(POD_NAME)",
			"--advertise-address=$(POD_IP)",
			fmt.Sprintf("--shutdown-delay=%ds", withdrawSeconds),
			fmt.Sprintf("--drain-timeout=%ds", drainSeconds(c)),
		},
		Env: []corev1.EnvVar{field("POD_NAME", "metadata.name"), field("POD_IP", "status.podIP")},
		Ports: []corev1.ContainerPort{
			{Name: "serve", ContainerPort: containerPort(number), Protocol: corev1.ProtocolTCP},
			{Name: wire.PortName, ContainerPort: wire.Port(number), Protocol: corev1.ProtocolTCP},
			{Name: "recordings", ContainerPort: recordingsPort(number), Protocol: corev1.ProtocolTCP},
			{Name: "health", ContainerPort: healthPort, Protocol: corev1.ProtocolTCP},
		},
		StartupProbe:   probe("/healthz", startupFailures),
		LivenessProbe:  probe("/healthz", failures),
		ReadinessProbe: probe("/readyz", failures),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no,
			ReadOnlyRootFilesystem:   &yes,
			RunAsNonRoot:             &yes,
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: spoolVolume, MountPath: spoolDirectory},
			{Name: tokenVolume, MountPath: tokenDirectory, ReadOnly: true},
		},
	}
	onRootMismatch := corev1.FSGroupChangeOnRootMismatch
	pod := corev1.PodSpec{
		ServiceAccountName:            ObjectName(c.Name),
		AutomountServiceAccountToken:  &no, // a shorter one is mounted in its place
		EnableServiceLinks:            &no,
		TerminationGracePeriodSeconds: &grace,
		Volumes:                       []corev1.Volume{token()},
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, RunAsUser: &id, RunAsGroup: &id,
			// Each new pod's kubelet would open every file of the log to the group
			// otherwise, its key too, which the proxy then refuses.
			FSGroup: &id, FSGroupChangePolicy: &onRootMismatch,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
	if secret := c.Spec.Credential.Secret; secret != nil {
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: credentialVolume, VolumeSource: corev1.VolumeSource{
			// Without the Secret the pod starts, reports what is missing, and has
			// the credential a moment after the Secret is made.
			Secret: &corev1.SecretVolumeSource{SecretName: secret.Name, DefaultMode: &mode, Optional: &yes},
		}})
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{
			Name: credentialVolume, MountPath: credentialDirectory, ReadOnly: true,
		})
	}
	pod.Containers = []corev1.Container{container}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod}
	r.Pods.apply(c, &template)
	return template
}

// token is what the API server knows the proxy by. The one that is mounted by
// default is good for a year where the API server extends such tokens; this one
// ends, and is renewed by the kubelet well before.
func token() corev1.Volume {
	seconds := int64(tokenSeconds)
	return corev1.Volume{Name: tokenVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &seconds, Path: corev1.ServiceAccountTokenKey}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: corev1.ServiceAccountRootCAKey, Path: corev1.ServiceAccountRootCAKey}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
				Path:     corev1.ServiceAccountNamespaceKey,
				FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"},
			}}}},
		},
	}}}
}

// spoolBytes is how much a log may hold: what a claim has room for, its file system's
// own needs left out; 0 for the proxy's default, which an emptyDir gets. A log that
// is full goes on when sinks have taken records; one whose disk is full does not.
func spoolBytes(c *v1alpha1.Connection) int64 {
	claim := spool(c)
	if claim == nil {
		return 0
	}
	return max(claim.Size.Value()/100*spoolPercent, leastSpoolBytes)
}

// drainSeconds is how long sessions may go on after their pod was told to stop.
func drainSeconds(c *v1alpha1.Connection) int64 {
	if m := c.Spec.Proxy.Managed; m != nil && m.DrainSeconds != nil {
		return int64(*m.DrainSeconds)
	}
	return defaultDrainSeconds
}

// graceSeconds is what all of a stop may take.
func graceSeconds(c *v1alpha1.Connection) int64 {
	return withdrawSeconds + drainSeconds(c) + closingSeconds
}

// field is an environment variable that tells a pod of itself.
func field(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}}
}

func probe(path string, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: intstr.FromInt32(healthPort), Scheme: corev1.URISchemeHTTP,
		}},
		PeriodSeconds: 5, TimeoutSeconds: 2, FailureThreshold: failures, SuccessThreshold: 1,
	}
}
