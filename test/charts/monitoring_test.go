// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"encoding/json"
	"path/filepath"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The Prometheus operator's definitions are in its Go module, which the Go command fetches and
// verifies; the sum is here too, because no go.mod of ours names the module.
const (
	monitoringModule = "github.com/prometheus-operator/prometheus-operator@v0.87.1"
	monitoringSum    = "h1:zjzxO10Rv3goA/GDbE3Vgf2TNhhcOp7fZbRG0Tkm3OY="
)

var monitoring struct {
	sync.Once
	folder, sum string
	err         error
}

// monitoringFiles returns the definitions of ServiceMonitor, PodMonitor and PrometheusRule.
func monitoringFiles(t *testing.T) []string {
	t.Helper()
	monitoring.Do(func() {
		var out []byte
		// Outside of our module, whose go.mod need not know it.
		out, monitoring.err = run(t.Context(), nil, "go", "-C", t.TempDir(), "mod", "download", "-json", monitoringModule)
		if monitoring.err == nil {
			var module struct{ Dir, Sum string }
			monitoring.err = json.Unmarshal(out, &module)
			monitoring.folder, monitoring.sum = module.Dir, module.Sum
		}
	})
	if monitoring.err != nil {
		t.Fatalf("cannot fetch the Prometheus operator's definitions: %v", monitoring.err)
	}
	if monitoring.sum != monitoringSum {
		t.Fatalf("%s: want %s, got %s", monitoringModule, monitoringSum, monitoring.sum)
	}
	var files []string
	for _, kind := range []string{"servicemonitors", "podmonitors", "prometheusrules"} {
		files = append(files, filepath.Join(monitoring.folder, "example", "prometheus-operator-crd", "monitoring.coreos.com_"+kind+".yaml"))
	}
	return files
}

// monitoringDefinitions reads them.
func monitoringDefinitions(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, file := range monitoringFiles(t) {
		all = append(all, objects(t, read(t, file))...)
	}
	return all
}
