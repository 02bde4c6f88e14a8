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
)

// What proxies are told on their command line.
const (
	spoolVolume         = "spool"
	spoolDirectory      = "/var/lib/doorward"
	credentialVolume    = "credential"
	credentialDirectory = "/etc/doorward/credential" //nolint:gosec // a folder, not a credential
	healthPort          = 8081
	user                = 65532
	drainSeconds        = 60
)

// podTemplate is the pod of a Managed proxy. It meets the restricted Pod Security
// Standard. The credential is mounted, so that the ServiceAccount need not read it.
func (r *Reconciler) podTemplate(c *v1alpha1.Connection, number int32) corev1.PodTemplateSpec {
	labels := proxyLabels(c)
	labels[kit.LabelManagedBy] = "doorward"
	name := c.Namespace + "/" + c.Name
	yes, no, id, grace, mode := true, false, int64(user), int64(drainSeconds), int32(0o440)
	container := corev1.Container{
		Name:  "proxy",
		Image: r.Image,
		Args: []string{
			"--connection=" + name,
			fmt.Sprintf("--listen=%s=:%d", name, containerPort(number)),
			"--credential-dir=" + credentialDirectory,
			"--snapshot-key=" + r.SnapshotKey,
			"--spool=" + spoolDirectory,
			"--instance=$(POD_NAME)",
		},
		Env: []corev1.EnvVar{{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{
			FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"},
		}}},
		Ports: []corev1.ContainerPort{
			{Name: "serve", ContainerPort: containerPort(number), Protocol: corev1.ProtocolTCP},
			{Name: "health", ContainerPort: healthPort, Protocol: corev1.ProtocolTCP},
		},
		LivenessProbe:  probe("/healthz"),
		ReadinessProbe: probe("/readyz"),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no,
			ReadOnlyRootFilesystem:   &yes,
			RunAsNonRoot:             &yes,
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: spoolVolume, MountPath: spoolDirectory}},
	}
	pod := corev1.PodSpec{
		ServiceAccountName:            ObjectName(c.Name),
		TerminationGracePeriodSeconds: &grace,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, RunAsUser: &id, RunAsGroup: &id, FSGroup: &id,
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
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod}
}

func probe(path string) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: intstr.FromInt32(healthPort), Scheme: corev1.URISchemeHTTP,
		}},
		PeriodSeconds: 5, TimeoutSeconds: 2, FailureThreshold: 3, SuccessThreshold: 1,
	}
}
