// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package monitoring reads what the project says of its metrics: the page that
// lists them, and the dashboards and alert rules that use them.
package monitoring

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/test/testenv"
)

// Documented is what docs/operations/metrics.md lists.
type Documented struct {
	// Metrics are our own, by name.
	Metrics map[string]Metric
	// Families are prefixes of the names of libraries' metrics.
	Families []string
}

// Metric is one line of the page.
type Metric struct {
	// Type is counter, gauge or histogram.
	Type   string
	Labels []string
}

// Has says whether a name is listed, or of a listed family.
func (d Documented) Has(name string) bool {
	if _, listed := d.Metrics[name]; listed {
		return true
	}
	for _, family := range d.Families {
		if strings.HasPrefix(name, family) {
			return true
		}
	}
	return false
}

// Series says whether a name, as queries have it, is of a listed metric: that of
// a histogram has a suffix.
func (d Documented) Series(name string) bool {
	if m, listed := d.Metrics[name]; listed {
		return m.Type != "histogram"
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, found := strings.CutSuffix(name, suffix); found && d.Metrics[base].Type == "histogram" {
			return true
		}
	}
	return d.Has(name)
}

// Labels are those of a listed metric, by its name as queries have it; false
// where it is a library's, or of none.
func (d Documented) Labels(name string) ([]string, bool) {
	for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
		if base, found := strings.CutSuffix(name, suffix); found {
			if m, listed := d.Metrics[base]; listed {
				return m.Labels, true
			}
		}
	}
	return nil, false
}

var (
	line   = regexp.MustCompile("(?m)^\\| `(doorward_[a-z_]+)` \\| (counter|gauge|histogram) \\| ([a-z, ]*) ?\\| .+ \\| .*\\|$")
	family = regexp.MustCompile("`([a-z_]+_)\\*`")
)

// Page reads docs/operations/metrics.md.
func Page() (Documented, error) {
	d := Documented{Metrics: map[string]Metric{}}
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "operations", "metrics.md"))
	if err != nil {
		return d, fmt.Errorf("cannot read the page of metrics: %w", err)
	}
	for _, match := range line.FindAllStringSubmatch(string(text), -1) {
		m := Metric{Type: match[2]}
		if labels := strings.TrimSpace(match[3]); labels != "" {
			m.Labels = strings.Split(labels, ", ")
		}
		if _, twice := d.Metrics[match[1]]; twice {
			return d, fmt.Errorf("listed twice: %q", match[1])
		}
		d.Metrics[match[1]] = m
	}
	for _, match := range family.FindAllStringSubmatch(string(text), -1) {
		d.Families = append(d.Families, match[1])
	}
	return d, nil
}

// Chart is the folder of the chart.
func Chart() string { return filepath.Join(testenv.Root(), "charts", "doorward") }

// Rules is the path of the alert rules.
func Rules() string { return filepath.Join(Chart(), "rules", "doorward.yaml") }

// Rule is one alert.
type Rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Alerts reads the alert rules.
func Alerts() ([]Rule, error) {
	var file struct {
		Groups []struct {
			Rules []Rule `json:"rules"`
		} `json:"groups"`
	}
	text, err := os.ReadFile(Rules())
	if err != nil {
		return nil, fmt.Errorf("cannot read the alert rules: %w", err)
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("cannot read the alert rules: %w", err)
	}
	var all []Rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	return all, nil
}

// Dashboard is what a test must know of a dashboard.
type Dashboard struct {
	UID        string `json:"uid"`
	Title      string `json:"title"`
	Templating struct {
		List []struct {
			Name  string          `json:"name"`
			Query json.RawMessage `json:"query"`
		} `json:"list"`
	} `json:"templating"`
	Panels []struct {
		ID      int    `json:"id"`
		Title   string `json:"title"`
		GridPos struct {
			X, Y, W, H int
		} `json:"gridPos"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
}

// Dashboards reads all dashboards, by file name.
func Dashboards() (map[string]Dashboard, error) {
	paths, err := filepath.Glob(filepath.Join(Chart(), "dashboards", "*.json"))
	if err != nil {
		return nil, fmt.Errorf("cannot find dashboards: %w", err)
	}
	all := map[string]Dashboard{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read a dashboard: %w", err)
		}
		var d Dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("cannot read dashboard %q: %w", filepath.Base(path), err)
		}
		all[filepath.Base(path)] = d
	}
	return all, nil
}
