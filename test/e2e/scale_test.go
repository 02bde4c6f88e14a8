// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/testenv"
)

const (
	// scaleStep is how many Connections are made at a time, scaleMost how many
	// at most, unless DOORWARD_MANAGED says otherwise.
	scaleStep, scaleMost = 20, 200
	// scalePatience is how long a step may take.
	scalePatience = 10 * time.Minute
)

// TestManagedScale makes Managed Connections, one proxy each, until the node
// bears no more, and prints what a proxy takes.
func TestManagedScale(t *testing.T) {
	need(t)
	if !long() {
		t.Skip("takes half an hour: run make e2e-full")
	}
	most := scaleMost
	if text := os.Getenv("DOORWARD_MANAGED"); text != "" {
		var err error
		if most, err = strconv.Atoi(text); err != nil {
			t.Fatalf("cannot read DOORWARD_MANAGED: %v", err)
		}
	}
	s := newSite(t, source{testenv.Root(), []string{firstVersion}})
	// What pods ask for by default would fill two cores with twenty.
	s.helmUp(t, testenv.Root(), firstVersion, "--set=proxy.resources.requests.cpu=1m", "--set=proxy.resources.requests.memory=8Mi")
	s.target(t)
	s.apply(t, s.sink.manifest())
	s.apply(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s-ca, namespace: %s}\ndata:\n  ca.crt: |\n%s\n", local, namespace, indent(s.postgres.CAPEM, 4)))
	for made := 0; made < most; {
		began := time.Now()
		var manifests strings.Builder
		for range min(scaleStep, most-made) {
			fmt.Fprintf(&manifests, many, fmt.Sprintf("many-%04d", made), s.postgres.Host(), s.password)
			made++
		}
		s.apply(t, manifests.String())
		err := awaitShort(t.Context(), scalePatience, func(ctx context.Context) error { return s.allReady(ctx, made) })
		if err != nil {
			progress("%d Managed Connections are too many for this node: %v", made, err)
			if made == scaleStep {
				t.Errorf("not even the first %d: %v", made, err)
			}
			return
		}
		progress("%4d Managed Connections: the last %d ready after %.0f s; %s", made, scaleStep, time.Since(began).Seconds(), s.memory(t))
	}
}

// many is one Connection with one proxy.
const many = `apiVersion: v1
kind: Secret
metadata: {name: %[1]s, namespace: shop-access}
type: doorward.dev/credential
stringData: {username: doorward, password: "%[3]s", connection: %[1]s, addresses: "%[2]s:5432"}
---
apiVersion: doorward.dev/v1alpha1
kind: Connection
metadata: {name: %[1]s, namespace: shop-access}
spec:
  protocol: postgres
  targets: [{host: %[2]s, port: 5432}]
  tls: {mode: VerifyFull, certificateAuthority: {type: ConfigMap, configMap: {name: orders-db-ca, key: ca.crt}}}
  credential: {type: Secret, secret: {name: %[1]s}}
  options: {databases: [shop]}
  proxy: {placement: Managed, managed: {replicas: 1}}
  audit: {durability: Remote}
---
`

func (s *site) allReady(ctx context.Context, want int) error {
	var list v1alpha1.ConnectionList
	if err := s.admin.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return err
	}
	ready := 0
	for i := range list.Items {
		if meta.IsStatusConditionTrue(list.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
			ready++
		}
	}
	if ready < want {
		return fmt.Errorf("%d of %d are ready", ready, want)
	}
	return nil
}

// memory says what the proxies and the managers hold.
func (s *site) memory(t *testing.T) string {
	t.Helper()
	var pods corev1.PodList
	if err := s.admin.List(t.Context(), &pods, client.MatchingLabels{"app.kubernetes.io/name": "doorward"}); err != nil {
		t.Fatal(err)
	}
	held := map[string][]float64{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		component := pod.Labels["app.kubernetes.io/component"]
		pid, err := process(string(pod.UID), "/"+component)
		if err != nil {
			continue
		}
		private, err := privateMemory(pid)
		if err != nil {
			t.Error(err)
		}
		held[component] = append(held[component], private)
	}
	var parts []string
	for component, sizes := range held {
		slices.Sort(sizes)
		parts = append(parts, fmt.Sprintf("%s: %d processes, median %.0f MiB, largest %.0f MiB of their own", component, len(sizes), sizes[len(sizes)/2], sizes[len(sizes)-1]))
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// privateMemory is what a process shares with no other, in MiB.
func privateMemory(pid int) (float64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	sum, found := 0.0, false
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		if name != "Private_Dirty" && name != "Private_Clean" {
			continue
		}
		kilobytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+kilobytes/1024, true
	}
	if !found {
		return 0, errors.New("the kernel does not say what a process holds")
	}
	return sum, nil
}
