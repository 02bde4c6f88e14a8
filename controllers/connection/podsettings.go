// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

// PodSettings are what an installation gives to the pods of all Managed proxies.
// The fields are those of a pod, under the same names; what is unset is left to
// the defaults that each names.
type PodSettings struct {
	// Image is the container image, and ImagePullPolicy when it is pulled. An
	// unset image is the manager's --proxy-image.
	Image           string            `json:"image,omitempty"`
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`
	// ImagePullSecrets are in the namespaces of the Connections.
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	// Labels and Annotations are added to the pods. Those by which the manager
	// finds its own pods cannot be set.
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// NodeSelector, Tolerations, Affinity and PriorityClassName place the pods.
	NodeSelector      map[string]string   `json:"nodeSelector,omitempty"`
	Tolerations       []corev1.Toleration `json:"tolerations,omitempty"`
	Affinity          *corev1.Affinity    `json:"affinity,omitempty"`
	PriorityClassName string              `json:"priorityClassName,omitempty"`
	// TopologySpreadConstraints spread the pods of each Connection: one without a
	// labelSelector is about the proxies of the pod's own Connection. Unset means
	// across host names and zones, as far as that is possible; an empty list, not at all.
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	// Resources replace the defaults as a whole: 100m CPU and 128Mi requested, and
	// at most 1Gi of memory.
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
	// Env is added to the container's environment: where traces go
	// (OTEL_EXPORTER_OTLP_ENDPOINT), or a way out (HTTPS_PROXY). What the manager
	// sets itself cannot be set.
	Env []corev1.EnvVar `json:"env,omitempty"`
	// LogFormat is json or text, and LogLevel the verbosity, from 0 to 7, of what
	// proxies say of themselves; json and 0 where unset.
	LogFormat string `json:"logFormat,omitempty"`
	LogLevel  int32  `json:"logLevel,omitempty"`
	// TraceClientParents has operations continue the traces that callers name in
	// comments, where Env turns traces on. Whoever may connect can then have spans
	// sampled.
	TraceClientParents bool `json:"traceClientParents,omitempty"`
}

// ownEnv are the variables that the manager sets itself.
var ownEnv = []string{"POD_NAME", "POD_IP"}

// maxLogLevel is the highest that the proxy's flag takes.
const maxLogLevel = 7

// maxSpread bounds the constraints, which are copied into each workload.
const maxSpread = 16

// LoadPodSettings reads a file of YAML; the error names the file and the key.
func LoadPodSettings(path string) (PodSettings, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return PodSettings{}, fmt.Errorf("cannot read the settings of proxy pods: %w", err)
	}
	s, err := ParsePodSettings(data)
	if err != nil {
		return PodSettings{}, fmt.Errorf("invalid settings of proxy pods: %q: %w", path, err)
	}
	return s, nil
}

// ParsePodSettings reads YAML strictly: an unknown key, one that is there twice,
// and a value that no pod could have are errors.
func ParsePodSettings(data []byte) (PodSettings, error) {
	text, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return PodSettings{}, fmt.Errorf("no YAML: %w", err)
	}
	var s PodSettings
	strict, err := json.UnmarshalStrict(text, &s)
	if err := errors.Join(append(strict, err)...); err != nil {
		return PodSettings{}, err
	}
	err = s.validate()
	return s, err
}

// validate looks at what the API server would refuse much later, in a workload.
func (s *PodSettings) validate() error {
	var faults []error
	fault := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf(key+": "+format, args...))
	}
	if strings.TrimSpace(s.Image) != s.Image {
		fault("image", "want no space around it: %q", s.Image)
	}
	switch s.ImagePullPolicy {
	case "", corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
	default:
		fault("imagePullPolicy", "want Always, IfNotPresent or Never: %q", s.ImagePullPolicy)
	}
	for i, secret := range s.ImagePullSecrets {
		if problems := validation.IsDNS1123Subdomain(secret.Name); len(problems) > 0 {
			fault("imagePullSecrets", "item %d: name %q: %s", i, secret.Name, problems[0])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Labels)) {
		if reserved(key) {
			fault("labels", "%q is set by the manager and cannot be replaced", key)
		}
	}
	for _, set := range []struct {
		key    string
		labels map[string]string
	}{{"labels", s.Labels}, {"nodeSelector", s.NodeSelector}} {
		for _, key := range slices.Sorted(maps.Keys(set.labels)) {
			if problems := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(set.labels[key])...); len(problems) > 0 {
				fault(set.key, "%q=%q: %s", key, set.labels[key], problems[0])
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.Annotations)) {
		if problems := validation.IsQualifiedName(strings.ToLower(key)); len(problems) > 0 {
			fault("annotations", "%q: %s", key, problems[0])
		}
	}
	if s.PriorityClassName != "" {
		if problems := validation.IsDNS1123Subdomain(s.PriorityClassName); len(problems) > 0 {
			fault("priorityClassName", "%q: %s", s.PriorityClassName, problems[0])
		}
	}
	if len(s.TopologySpreadConstraints) > maxSpread {
		fault("topologySpreadConstraints", "want at most %d: %d", maxSpread, len(s.TopologySpreadConstraints))
	}
	for i, c := range s.TopologySpreadConstraints {
		if c.MaxSkew < 1 || c.TopologyKey == "" || c.WhenUnsatisfiable != corev1.DoNotSchedule && c.WhenUnsatisfiable != corev1.ScheduleAnyway {
			fault("topologySpreadConstraints", "item %d: want maxSkew of at least 1, topologyKey, and whenUnsatisfiable DoNotSchedule or ScheduleAnyway", i)
		}
	}
	s.validateContainer(fault)
	if s.Resources != nil {
		for name, request := range s.Resources.Requests {
			if limit, limited := s.Resources.Limits[name]; limited && request.Cmp(limit) > 0 {
				fault("resources", "%s: the request %s is above the limit %s", name, request.String(), limit.String())
			}
		}
	}
	return errors.Join(faults...)
}

// validateContainer looks at what the container is started with.
func (s *PodSettings) validateContainer(fault func(key, format string, args ...any)) {
	seen := map[string]bool{}
	for i, variable := range s.Env {
		problems := validation.IsEnvVarName(variable.Name)
		switch {
		case len(problems) > 0:
			fault("env", "item %d: name %q: %s", i, variable.Name, problems[0])
		case slices.Contains(ownEnv, variable.Name):
			fault("env", "%q is set by the manager and cannot be replaced", variable.Name)
		case seen[variable.Name]:
			fault("env", "%q is there twice", variable.Name)
		}
		seen[variable.Name] = true
	}
	if s.LogFormat != "" && s.LogFormat != "json" && s.LogFormat != "text" {
		fault("logFormat", "want json or text: %q", s.LogFormat)
	}
	if s.LogLevel < 0 || s.LogLevel > maxLogLevel {
		fault("logLevel", "want a number from 0 to %d: %d", maxLogLevel, s.LogLevel)
	}
}

// reserved says whether a label of pods is the manager's own.
func reserved(key string) bool {
	prefix, _, _ := strings.Cut(key, "/")
	_, own := proxyLabels(&v1alpha1.Connection{})[key]
	return own || key == kit.LabelManagedBy || prefix == v1alpha1.GroupName || strings.HasSuffix(prefix, "."+v1alpha1.GroupName)
}

// image is the image of the pods.
func (s *PodSettings) image(otherwise string) string {
	if s.Image != "" {
		return s.Image
	}
	return otherwise
}

// resources are those of the container. There is no CPU limit: throttling would
// hold up every session at once.
func (s *PodSettings) resources() corev1.ResourceRequirements {
	if s.Resources != nil {
		return *s.Resources.DeepCopy()
	}
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
	}
}

// spread keeps the proxies of a Connection from going down together. During a
// rollout only the pods of the new version are counted.
func (s *PodSettings) spread(c *v1alpha1.Connection) []corev1.TopologySpreadConstraint {
	constraints := slices.Clone(s.TopologySpreadConstraints)
	if s.TopologySpreadConstraints == nil {
		revision := "pod-template-hash"
		if spool(c) != nil {
			revision = "controller-revision-hash"
		}
		for _, key := range []string{corev1.LabelHostname, corev1.LabelTopologyZone} {
			constraints = append(constraints, corev1.TopologySpreadConstraint{
				MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: corev1.ScheduleAnyway, MatchLabelKeys: []string{revision},
			})
		}
	}
	for i := range constraints {
		if constraints[i].LabelSelector == nil {
			constraints[i].LabelSelector = &metav1.LabelSelector{MatchLabels: proxyLabels(c)}
		}
	}
	return constraints
}

// apply puts the settings on a pod whose first container is the proxy.
func (s *PodSettings) apply(c *v1alpha1.Connection, template *corev1.PodTemplateSpec) {
	for key, value := range s.Labels {
		template.Labels[key] = value
	}
	template.Annotations = maps.Clone(s.Annotations)
	pod := &template.Spec
	pod.ImagePullSecrets = slices.Clone(s.ImagePullSecrets)
	pod.NodeSelector = maps.Clone(s.NodeSelector)
	pod.Tolerations = slices.Clone(s.Tolerations)
	pod.Affinity = s.Affinity.DeepCopy()
	pod.PriorityClassName = s.PriorityClassName
	pod.TopologySpreadConstraints = s.spread(c)
	pod.Containers[0].ImagePullPolicy = s.ImagePullPolicy
	pod.Containers[0].Resources = s.resources()
	pod.Containers[0].Env = append(pod.Containers[0].Env, s.Env...)
	if s.LogFormat != "" {
		pod.Containers[0].Args = append(pod.Containers[0].Args, "--log-format="+s.LogFormat)
	}
	if s.LogLevel != 0 {
		pod.Containers[0].Args = append(pod.Containers[0].Args, fmt.Sprintf("-v=%d", s.LogLevel))
	}
	if s.TraceClientParents {
		pod.Containers[0].Args = append(pod.Containers[0].Args, "--trace-client-parents")
	}
}
