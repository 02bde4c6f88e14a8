// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/doorward/doorward/api/v1alpha1"
)

const everySetting = `
image: registry.example/doorward:1
imagePullPolicy: IfNotPresent
imagePullSecrets: [{name: registry}]
labels: {team: data, example.com/tier: "1"}
annotations: {example.com/Note: any text}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: dedicated, operator: Equal, value: access, effect: NoSchedule}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: Exists}]}]}}}
topologySpreadConstraints: [{maxSkew: 2, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]
priorityClassName: high
resources: {requests: {cpu: 250m}, limits: {memory: 2Gi}}
env: [{name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "https://collector.example:4317"}]
logFormat: text
logLevel: 4
traceClientParents: true
`

// TestPodSettingsAreStrict: a setting that does nothing is an error that names it.
func TestPodSettingsAreStrict(t *testing.T) {
	tests := map[string]struct {
		reason string
		text   string
		want   string // part of the error; empty for none
	}{
		"Everything":    {"All keys there are.", everySetting, ""},
		"Nothing":       {"An empty file sets nothing.", "", ""},
		"Typo":          {"It would be passed over.", "nodeSelektor: {a: b}", `"nodeSelektor"`},
		"TypoInside":    {"The path says where.", "resources: {limit: {memory: 1Gi}}", `"resources.limit"`},
		"Case":          {"Kubernetes' names have one case.", "Image: x", `"Image"`},
		"Twice":         {"One of them would be lost.", "image: a\nimage: b", `"image"`},
		"Type":          {"A list is no text.", "image: [a]", "image"},
		"Quantity":      {"No quantity.", "resources: {limits: {memory: lots}}", "quantities"},
		"PullPolicy":    {"No such policy.", "imagePullPolicy: Sometimes", "imagePullPolicy"},
		"PullSecret":    {"No name of a Secret.", "imagePullSecrets: [{name: A_B}]", "imagePullSecrets"},
		"OwnLabel":      {"The Service selects by it.", "labels: {app.kubernetes.io/name: mine}", "app.kubernetes.io/name"},
		"OwnPrefix":     {"Rights and networks go by it.", "labels: {doorward.dev/connection: other}", "doorward.dev/connection"},
		"ManagedBy":     {"Isolation goes by it.", "labels: {app.kubernetes.io/managed-by: Helm}", "managed-by"},
		"LabelValue":    {"Pods would be refused.", "labels: {team: a b}", `"team"="a b"`},
		"NodeSelector":  {"Pods would be refused.", "nodeSelector: {'a b': c}", "nodeSelector"},
		"Annotation":    {"Pods would be refused.", "annotations: {'a b': c}", "annotations"},
		"PriorityClass": {"No name.", "priorityClassName: A B", "priorityClassName"},
		"Spread":        {"Pods would be refused.", "topologySpreadConstraints: [{topologyKey: a}]", "topologySpreadConstraints"},
		"Resources":     {"Pods would be refused.", "resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}", "resources"},
		"OwnVariable":   {"The proxy is known by it.", "env: [{name: POD_NAME, value: other}]", "POD_NAME"},
		"TwiceVariable": {"One of them would be lost.", "env: [{name: A, value: b}, {name: A, value: c}]", `"A" is there twice`},
		"Variable":      {"Pods would be refused.", "env: [{name: A=B}]", "env"},
		"LogFormat":     {"The proxy would not start.", "logFormat: xml", "logFormat"},
		"LogLevel":      {"The proxy would not start.", "logLevel: 8", "logLevel"},
		"TraceParents":  {"YAML's yes and no are words.", "traceClientParents: 'yes'", "traceClientParents"},
		"NotYAML":       {"Tabs do not indent.", "a:\n\tb: c", "YAML"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "pods.yaml")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := LoadPodSettings(file)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), file)) {
				t.Errorf("%s LoadPodSettings() = %v, want an error that names the file and %q", tc.reason, err, tc.want)
			}
		})
	}
	if _, err := LoadPodSettings(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there is no error")
	}
}

// TestPodSettingsReachThePods: everything that can be set is on the pod, and what
// the manager goes by stays.
func TestPodSettingsReachThePods(t *testing.T) {
	settings, err := ParsePodSettings([]byte(everySetting))
	if err != nil {
		t.Fatal(err)
	}
	c := &v1alpha1.Connection{}
	c.Namespace, c.Name, c.Spec.Proxy.Placement = "shop-access", "shop", v1alpha1.PlacementManaged
	r := New(Options{Image: "default:1", Pods: settings})
	template := r.podTemplate(c, 5432)
	pod := template.Spec
	for key, value := range map[string]string{"team": "data", "doorward.dev/connection": "shop", "app.kubernetes.io/managed-by": "doorward"} {
		if template.Labels[key] != value {
			t.Errorf("label %q is %q, want %q", key, template.Labels[key], value)
		}
	}
	if got := pod.Containers[0].Image; got != "registry.example/doorward:1" {
		t.Errorf("image %q is not that of the settings", got)
	}
	if diff := cmp.Diff(*settings.Resources, pod.Containers[0].Resources, cmp.Comparer(func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 })); diff != "" {
		t.Errorf("resources: -want +got:\n%s", diff)
	}
	spread := pod.TopologySpreadConstraints
	if len(spread) != 1 || spread[0].TopologyKey != "rack" || spread[0].LabelSelector.MatchLabels["doorward.dev/connection"] != "shop" {
		t.Errorf("spread constraints %+v: want the one of the settings, about the proxies of the Connection", spread)
	}
	if settings.TopologySpreadConstraints[0].LabelSelector != nil {
		t.Error("one Connection's selector was put into the settings of all")
	}
	if pod.Affinity == nil || pod.NodeSelector["kubernetes.io/os"] != "linux" || len(pod.Tolerations) != 1 || pod.PriorityClassName != "high" ||
		len(pod.ImagePullSecrets) != 1 || template.Annotations["example.com/Note"] == "" || pod.Containers[0].ImagePullPolicy != corev1.PullIfNotPresent {
		t.Errorf("settings are missing in %+v", pod)
	}
	container := pod.Containers[0]
	if names := []string{container.Env[0].Name, container.Env[1].Name, container.Env[2].Name}; !slices.Equal(names, []string{"POD_NAME", "POD_IP", "OTEL_EXPORTER_OTLP_ENDPOINT"}) {
		t.Errorf("environment %v: want the manager's own first, and that of the settings", names)
	}
	if args := container.Args; !slices.Equal(args[len(args)-3:], []string{"--log-format=text", "-v=4", "--trace-client-parents"}) {
		t.Errorf("arguments %q: want those of logs and traces last", args)
	}

	bare := New(Options{Image: "default:1"}).podTemplate(c, 5432).Spec
	if bare.Containers[0].Image != "default:1" || bare.Containers[0].Resources.Limits.Memory().String() != "1Gi" || len(bare.TopologySpreadConstraints) != 2 ||
		slices.Contains(bare.Containers[0].Args, "--trace-client-parents") {
		t.Errorf("without settings: %+v", bare)
	}
	settings.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{}
	if got := settings.spread(c); len(got) != 0 {
		t.Errorf("an empty list spreads by %v", got)
	}
}

// TestStopHasTime: the pod may live until the last of what a stop does is over.
func TestStopHasTime(t *testing.T) {
	seconds := func(n int32) *int32 { return &n }
	tests := map[string]struct {
		reason string
		drain  *int32
		args   string
		grace  int64
	}{
		"Unset": {"Half a minute for sessions.", nil, "--shutdown-delay=5s --drain-timeout=30s", 60},
		"None":  {"Sessions are ended at once; the log still closes in order.", seconds(0), "--shutdown-delay=5s --drain-timeout=0s", 30},
		"Long":  {"Reports run for an hour.", seconds(3600), "--shutdown-delay=5s --drain-timeout=3600s", 3630},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := &v1alpha1.Connection{}
			c.Spec.Proxy.Managed = &v1alpha1.ManagedProxy{DrainSeconds: tc.drain}
			pod := New(Options{}).podTemplate(c, 5432).Spec
			if args := strings.Join(pod.Containers[0].Args, " "); !strings.Contains(args, tc.args) || *pod.TerminationGracePeriodSeconds != tc.grace {
				t.Errorf("%s grace %d, arguments %s; want %d, %s", tc.reason, *pod.TerminationGracePeriodSeconds, args, tc.grace, tc.args)
			}
		})
	}
}
