// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"io"
	"time"
)

// Options of [Start]. The zero value is a node named after the process.
type Options struct {
	// Name tells clusters of a machine apart: letters, digits and hyphens, at most 40.
	// One that no other has where empty.
	Name string
	// Assets is the folder of the binaries; [Assets] finds it where empty.
	Assets string
	// AuditPolicy is an audit.k8s.io/v1 Policy in YAML; without one there is no audit log.
	AuditPolicy string
	// APIServerArgs are appended to kube-apiserver's command line.
	APIServerArgs []string
	// Logs is a folder that the logs of servers and pods are copied to at the end of the
	// cluster, for a look at what went wrong; they go with it where empty.
	Logs string
	// Progress is told what is being started and how long it took; nobody where nil.
	Progress io.Writer
}

// The addresses of a node. Its network namespace has no link to any other, so every cluster
// has the same ones.
const (
	nodeAddress  = "10.10.0.1"
	podRange     = "10.244.0.0/16"
	serviceRange = "10.96.0.0/16"
	apiService   = "10.96.0.1" // the first of the range, which the API server takes
	dnsAddress   = nodeAddress
	domain       = "cluster.local"
)

const (
	// startTimeout bounds the start of one server, readyTimeout that of the node, on a busy
	// two-core machine.
	startTimeout = 2 * time.Minute
	readyTimeout = 4 * time.Minute
	// stopGrace is how long a server may take to end by itself.
	stopGrace = 5 * time.Second
	// stopTimeout bounds how long the kernel may take to give back what a node held.
	stopTimeout = time.Minute
	// groupInterval is how often a control group that is not empty yet is tried again.
	groupInterval = 20 * time.Millisecond
	// readyInterval is how often the node is asked whether it is Ready.
	readyInterval = 200 * time.Millisecond
)
