// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package witness

// ConfigMapName is the ConfigMap, beside its Connection, that proxies put their
// Submissions in, each under its instance.
func ConfigMapName(connection string) string { return "doorward-" + connection + "-checkpoints" }
