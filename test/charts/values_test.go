// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestRefuses holds the schema and the checks of what does not fit together: a misspelt or
// wrong value is refused before anything is installed, and the error names it.
func TestRefuses(t *testing.T) {
	own := []string{"namespaces={shop-access}"}
	with := func(more ...string) []string { return append(own[:len(own):len(own)], more...) }
	tests := map[string]struct {
		reason string
		set    []string
		want   []string // all of these are in the error
	}{
		"NoNamespaces":       {reason: "the whole cluster is never the default", set: nil, want: []string{"namespaces", "clusterWide=true"}},
		"Both":               {reason: "a list would be passed over", set: with("clusterWide=true"), want: []string{"clusterWide", "leave out one"}},
		"OwnNamespace":       {reason: "the keys of the operator are there", set: []string{"namespaces={doorward-system}"}, want: []string{`"doorward-system" is the operator's own`}},
		"CreateAll":          {reason: "nothing to create", set: []string{"clusterWide=true", "createNamespaces=true"}, want: []string{"createNamespaces"}},
		"NoSuchNamespace":    {reason: "no namespace has this name", set: []string{"namespaces={Shop}"}, want: []string{"/namespaces/0", "'Shop'"}},
		"CommaInNamespace":   {reason: "would become two", set: []string{`namespaces={a\,b}`}, want: []string{"/namespaces/0"}},
		"EmptyNamespace":     {reason: "the manager takes it for all", set: []string{`namespaces[0]=`}, want: []string{"/namespaces/0"}},
		"TwiceNamespace":     {reason: "rendered twice", set: []string{"namespaces={a,a}"}, want: []string{"/namespaces", "equal"}},
		"Misspelt":           {reason: "a typing error", set: with("replicas=3"), want: []string{"'replicas' not allowed"}},
		"MisspeltDeep":       {reason: "a typing error in a map", set: with("image.tagg=1"), want: []string{"/image", "'tagg' not allowed"}},
		"MisspeltProxy":      {reason: "a typing error in the proxies' settings", set: with("proxy.podLabel.a=b"), want: []string{"/proxy", "'podLabel' not allowed"}},
		"Number":             {reason: "wrong type", set: with("replicaCount=two"), want: []string{"/replicaCount", "want integer"}},
		"Boolean":            {reason: "wrong type", set: with("networkPolicy.enabled=yes"), want: []string{"/networkPolicy/enabled", "want boolean"}},
		"Digest":             {reason: "cut off", set: with("image.digest=sha256:12"), want: []string{"/image/digest"}},
		"RepositoryWithTag":  {reason: "the tag has a value of its own, the digest another", set: with("image.repository=a/b@sha256:12"), want: []string{"/image/repository"}},
		"PullPolicy":         {reason: "no such policy", set: with("image.pullPolicy=Sometimes"), want: []string{"/image/pullPolicy", "'IfNotPresent'"}},
		"Toleration":         {reason: "no such effect", set: with("tolerations[0].effect=Never"), want: []string{"/tolerations/0/effect", "'NoExecute'"}},
		"Quantity":           {reason: "no such unit", set: with("resources.limits.memory=1Gb"), want: []string{"/resources/limits/memory"}},
		"ProxyQuantity":      {reason: "no such unit", set: with("proxy.resources.limits.memory=1Gb"), want: []string{"/proxy/resources/limits/memory"}},
		"Spread":             {reason: "half a constraint", set: with("proxy.topologySpreadConstraints[0].maxSkew=1"), want: []string{"/proxy/topologySpreadConstraints/0", "topologyKey"}},
		"Budget":             {reason: "neither a number nor a share", set: with("podDisruptionBudget.maxUnavailable=half"), want: []string{"/podDisruptionBudget/maxUnavailable"}},
		"CIDR":               {reason: "no range", set: with("networkPolicy.apiServer.cidrs={10.0.0.1}"), want: []string{"/networkPolicy/apiServer/cidrs/0"}},
		"Port":               {reason: "0 is no port", set: with("networkPolicy.dns.ports={0}"), want: []string{"/networkPolicy/dns/ports/0"}},
		"EmptyPeer":          {reason: "an empty peer is everybody", set: with("networkPolicy.metrics.from[0]=null"), want: []string{"/networkPolicy/metrics/from/0"}},
		"LabelOfProxies":     {reason: "the manager finds its pods by it", set: with(`proxy.podLabels.app\.kubernetes\.io/name=x`), want: []string{"proxy.podLabels", "app.kubernetes.io/name"}},
		"LabelOfConnections": {reason: "the manager finds its pods by it", set: with(`proxy.podLabels.doorward\.dev/connection=x`), want: []string{"proxy.podLabels", "doorward.dev/connection"}},
		"LabelValue":         {reason: "a label is a string", set: with("podLabels.a=1"), want: []string{"/podLabels/a", "want string"}},
		"MonitorOfNothing":   {reason: "there is no Service to watch", set: with("serviceMonitor.enabled=true", "metrics.service.enabled=false"), want: []string{"metrics.service.enabled"}},
		"PortalNowhere":      {reason: "callers have to know where it is", set: with("login.enabled=true"), want: []string{"login.url"}},
		"PortalInTheClear":   {reason: "tokens do not go in the clear", set: with("login.url=http://login.example.com"), want: []string{"/login/url"}},
		"Budgetless":         {reason: "nothing could be evicted", set: with("podDisruptionBudget.maxUnavailable=null"), want: []string{"podDisruptionBudget", "set one of them"}},
		"OwnVariable":        {reason: "the chart sets it, and a name is there once", set: with("extraEnv[0].name=NAMESPACES", "extraEnv[0].value=a"), want: []string{"/extraEnv/0/name"}},
		"ServiceAccount":     {reason: "somebody's, and nobody is named", set: with("serviceAccount.create=false", "serviceAccount.name="), want: []string{"serviceAccount.name"}},
		"LogLevel":           {reason: "no program takes it: messages would hold Secrets", set: with("logging.level=8"), want: []string{"/logging/level"}},
		"ProxyLogLevel":      {reason: "no program takes it: messages would hold Secrets", set: with("proxy.logging.level=8"), want: []string{"/proxy/logging/level"}},
		"Argument":           {reason: "not a flag: arguments after it would be passed over", set: with("extraArgs={leader-elect}"), want: []string{"/extraArgs/0"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			args := []string{"template", "doorward", root("charts", chart), "--namespace", namespace}
			for _, set := range tc.set {
				args = append(args, "--set", set)
			}
			_, err := helm(t, args...)
			if err == nil {
				t.Fatalf("%s: want an error, got none", tc.reason)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: want %q in the error, got: %v", tc.reason, want, err)
				}
			}
		})
	}
}

// TestDevelopmentVersion renders a chart as it is packaged between two releases: its version has a
// + (https://semver.org/#spec-item-10), which neither a label nor a tag can have.
func TestDevelopmentVersion(t *testing.T) {
	const version = "0.1.0-dev+g0123456789ab"
	folder := t.TempDir()
	if _, err := helm(t, "package", root("charts", chart), "--version", version, "--app-version", version, "--destination", folder); err != nil {
		t.Fatal(err)
	}
	got, err := helm(t, "template", "doorward", filepath.Join(folder, "doorward-"+version+".tgz"), "--set", "namespaces={shop-access}")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`image: "ghcr.io/doorward/doorward:0.1.0-dev.g0123456789ab"`, `value: "ghcr.io/doorward/doorward:0.1.0-dev.g0123456789ab"`,
		"helm.sh/chart: doorward-0.1.0-dev_g0123456789ab", "app.kubernetes.io/version: 0.1.0-dev_g0123456789ab",
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("want %q in the output", want)
		}
	}
}

// TestTakes renders what is right and easily thought wrong.
func TestTakes(t *testing.T) {
	tests := map[string]struct {
		reason string
		set    []string
		want   []string // all of these are in the output
		not    []string // none of these
	}{
		"Dependency":      {reason: "a chart that depends on this one passes values down", set: []string{"global.a=b", "enabled=true"}},
		"PlatformChooses": {reason: "OpenShift chooses the user", set: []string{"podSecurityContext.runAsUser=null", "podSecurityContext.runAsGroup=null"}, not: []string{"runAsUser", "runAsGroup"}},
		"Account": {
			reason: "the admission policies name the manager by its ServiceAccount", set: []string{"serviceAccount.name=other"},
			want: []string{"system:serviceaccount:doorward-system:other", "serviceAccountName: other"}, not: []string{"system:serviceaccount:doorward-system:doorward-manager"},
		},
		"ProxyTag":    {reason: "the digest of the manager's image is not that of another tag", set: []string{"image.digest=sha256:" + strings.Repeat("0", 64), "proxy.image.tag=v2"}, want: []string{"ghcr.io/doorward/doorward:v2"}},
		"ProxyDigest": {reason: "the digest wins", set: []string{"proxy.image.tag=v2", "proxy.image.digest=sha256:" + strings.Repeat("1", 64)}, want: []string{"doorward@sha256:1111"}, not: []string{":v2"}},
		"NoIssuers":   {reason: "a rule without ports would open all", set: []string{"networkPolicy.issuers.ports=null", "networkPolicy.dns.ports=null"}, not: []string{"ports: null", "ports: []", "ports:\n      to", "issuers"}},
		"DirectWay": {
			reason: "namespaces that are labelled need not be listed, and those that the chart makes are", set: []string{"networkPolicy.directWay.namespaceLabels.team=access", "createNamespaces=true"},
			want: []string{"matchLabels:\n              team: access\n", "restricted\n    team: access\n"}, not: []string{"kubernetes.io/metadata.name"},
		},
		"NoMaps":  {reason: "null is how Helm takes a default away", set: []string{"commonLabels=null", "commonAnnotations=null", "podLabels=null", "podAnnotations=null", "deploymentAnnotations=null", "proxy.podLabels=null", "proxy.podAnnotations=null", "metrics.service.labels=null", "networkPolicy.directWay.namespaceLabels=null", "createNamespaces=true"}},
		"Minimum": {reason: "0 is a number", set: []string{"podDisruptionBudget.minAvailable=0"}, want: []string{"minAvailable: 0"}, not: []string{"maxUnavailable"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			args := []string{"--set", "namespaces={shop-access}"}
			for _, set := range tc.set {
				args = append(args, "--set", set)
			}
			got := string(render(t, chart, "", args...))
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s: want %q in the output", tc.reason, want)
				}
			}
			for _, not := range tc.not {
				if strings.Contains(got, not) {
					t.Errorf("%s: want no %q in the output", tc.reason, not)
				}
			}
		})
	}
}
