// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e installs Doorward as an admin would, with Helm on a real cluster
// (package cluster), lets people work through it, and then breaks it under load:
// processes are killed, the API server goes away, images, certificates and
// credentials change, the chart and etcd go back and forth. What that cost is
// counted (packages load and account) and printed as a table; docs/reliability.md
// has it.
//
//	make e2e           # some ten minutes
//	make e2e-full      # the API server away for two minutes, proxies by the dozen
//
// It needs root on Linux. What is missing on a machine is named, and the tests are
// skipped for that alone.
//
//	DOORWARD_LONG=1      the outages in full, and the tests that take long
//	DOORWARD_KEEP=DIR    keep everything there: logs, records, kubeconfig
//	DOORWARD_IMAGES=DIR  keep the images there, and use those that are there already
package e2e
