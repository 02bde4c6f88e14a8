// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster runs a real Kubernetes of one node on this machine: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, containerd, kubelet, kube-proxy and CoreDNS as
// processes, pods as containers. It needs root on Linux and what hack/install-deps.sh cluster
// installs, but neither a container engine nor a registry: images are loaded from archives.
//
//	func TestOnCluster(t *testing.T) {
//		c := cluster.StartT(t, cluster.Options{})
//		if err := c.LoadImage(t.Context(), "image.tar"); err != nil { ... }
//		out, err := c.Kubectl(t.Context(), "apply", "-f", "pod.yaml")
//		conn, err := c.Dial(t.Context(), "tcp", "postgres.shop.svc:5432")
//	}
//
// All of a node lives in network, mount and process namespaces of its own: several run at once
// and none sees another, what is mounted is mounted there alone, and the kernel ends all of it
// with the process that started it, however that ends. A folder and control groups remain then,
// which the next start of any cluster removes. Two empty folders stay on the machine in any case,
// /var/lib/kubelet and /var/lib/cni: every node mounts its own there.
//
// Every namespace enforces the restricted Pod Security Standard unless labelled otherwise, and
// the API server refuses privileged pods. Claims of the StorageClass "standard", which is the
// default, get volumes. NetworkPolicies are stored but not enforced: the bridge plugin knows
// nothing of them.
//
// The binaries come from hack/controlplane/ensure.sh --node (`make node`).
package cluster
