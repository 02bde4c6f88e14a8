// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/doorward/doorward/test/proc"
)

// prepareNode writes what the node's servers read and prepares them.
func (c *Cluster) prepareNode(context.Context) error {
	for _, folder := range []string{"cni", "containerd", "volumes"} {
		if err := os.MkdirAll(c.path(folder), 0o755); err != nil {
			return fmt.Errorf("cannot make a folder of the node: %w", err)
		}
	}
	network, err := c.fill("cni.json")
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.path("cni/pods.conflist"), []byte(network), 0o644); err != nil {
		return fmt.Errorf("cannot write the pods' network: %w", err)
	}
	// Pods ask the cluster's DNS, which has no other to ask.
	if _, err := c.write("resolv.conf", "nameserver "+dnsAddress+"\n"); err != nil {
		return err
	}
	if _, _, err := c.serving("kubelet", []string{c.Name}, nodeAddress); err != nil {
		return err
	}
	for _, who := range []identity{kubelet(c.Name), nodeProxy, coreDNS, nodeAdmin} {
		if _, err := c.insideKubeconfig(who); err != nil {
			return err
		}
	}
	paths := map[string]string{}
	for _, name := range []string{"containerd.toml", "kubelet.yaml", "kube-proxy.yaml", "Corefile"} {
		if paths[name], err = c.configure(name); err != nil {
			return err
		}
	}
	client := c.unverified()
	c.Containerd = c.newServer("containerd", c.runtimeReady, "--config="+paths["containerd.toml"])
	c.Containerd.command.Path = "containerd"
	c.Kubelet = c.newServer("kubelet", proc.Answers(client, "http://127.0.0.1:10248/healthz"),
		"--config="+paths["kubelet.yaml"],
		"--kubeconfig="+c.path("kubelet.kubeconfig"),
		"--hostname-override="+c.Name,
		"--node-ip="+nodeAddress,
	)
	c.Proxy = c.newServer("kube-proxy", proc.Answers(client, "http://"+net.JoinHostPort(nodeAddress, "10256")+"/healthz"), "--config="+paths["kube-proxy.yaml"])
	c.DNS = c.newServer("coredns", proc.Answers(client, "http://127.0.0.1:8181/ready"), "-conf="+paths["Corefile"])
	return nil
}

// runtimeReady says whether containerd answers.
func (c *Cluster) runtimeReady(ctx context.Context) error {
	_, err := c.containerdClient(ctx, "version")
	return err
}

// startRuntime starts containerd and gives it the image of pods' sandboxes.
func (c *Cluster) startRuntime(ctx context.Context) error {
	if err := c.Containerd.Start(ctx); err != nil {
		return err
	}
	return c.loadPause(ctx)
}

// startNode starts everything that needs the API server.
func (c *Cluster) startNode(ctx context.Context) error {
	return startAll(ctx, c.ControllerManager, c.Scheduler, c.Kubelet, c.Proxy, c.DNS)
}

// AwaitReady returns once the node is Ready, which it reports some seconds after a start of
// kubelet, and pods can be made in the namespace "default".
func (c *Cluster) AwaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	config, err := c.RestConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("cannot make a client: %w", err)
	}
	for {
		err := c.ready(ctx, client)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %q is not Ready: %w; see the logs in %q", c.Name, err, c.Dir)
		case <-time.After(readyInterval):
		}
	}
}

// ready says what pods still wait for.
func (c *Cluster) ready(ctx context.Context, client kubernetes.Interface) error {
	node, err := client.CoreV1().Nodes().Get(ctx, c.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(node.Status.Conditions, func(condition corev1.NodeCondition) bool { return condition.Type == corev1.NodeReady })
	if i < 0 || node.Status.Conditions[i].Status != corev1.ConditionTrue {
		return fmt.Errorf("it reports: %+v", node.Status.Conditions)
	}
	_, err = client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}
