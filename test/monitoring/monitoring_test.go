// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/test/testenv"
)

func page(t *testing.T) Documented {
	t.Helper()
	d, err := Page()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// checkNames says which names of an expression are of no metric.
func checkNames(t *testing.T, where, expr string) {
	t.Helper()
	names := Names(expr)
	if len(names) == 0 {
		t.Errorf("%s: no metric in %q", where, expr)
	}
	for _, name := range names {
		if !page(t).Series(name) {
			t.Errorf("%s: no metric %q in docs/operations/metrics.md: %s", where, name, expr)
		}
	}
}

// checkLabels says which labels of an expression none of its metrics has. Those that a scrape adds
// are instance and, with the Prometheus operator, pod.
func checkLabels(t *testing.T, where, expr string) {
	t.Helper()
	have := map[string]bool{"le": true, "instance": true, "pod": true}
	for _, name := range Names(expr) {
		labels, known := page(t).Labels(name)
		if !known {
			return // a library's
		}
		for _, label := range labels {
			have[label] = true
		}
	}
	for _, label := range LabelNames(expr) {
		if !have[label] {
			t.Errorf("%s: no metric of it has label %q: %s", where, label, expr)
		}
	}
}

// checkOwn refuses a query that shows whatever else runs in the cluster: libraries' metrics have
// the same names in every program that uses them.
func checkOwn(t *testing.T, where, expr string) {
	t.Helper()
	own, library := false, false
	for _, name := range Names(expr) {
		if _, known := page(t).Labels(name); known {
			own = true
		} else if !strings.HasPrefix(name, "leader_election_") { // which has the Lease's name
			library = true
		}
	}
	if library && (!own || !strings.Contains(expr, "on (instance)")) {
		t.Errorf("%s: shows every program that has the metric; join it with one of ours on (instance): %s", where, expr)
	}
}

func TestDashboardsUseWhatThereIs(t *testing.T) {
	all, err := Dashboards()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 4 {
		t.Errorf("there are %d dashboards", len(all))
	}
	uids := map[string]string{}
	for file, d := range all {
		if other := uids[d.UID]; d.UID == "" || d.Title == "" || other != "" {
			t.Errorf("%s: uid %q, title %q: the uid is also that of %q", file, d.UID, d.Title, other)
		}
		uids[d.UID] = file
		for _, variable := range d.Templating.List {
			var query struct {
				Query string `json:"query"`
			}
			if json.Unmarshal(variable.Query, &query) == nil {
				checkNames(t, file+": "+variable.Name, query.Query)
			}
		}
		seen := map[int]bool{}
		for _, p := range d.Panels {
			if p.Title == "" || seen[p.ID] || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H == 0 || len(p.Targets) == 0 {
				t.Errorf("%s: panel %d %q has no title, no query, no place or another's id", file, p.ID, p.Title)
			}
			seen[p.ID] = true
			for _, target := range p.Targets {
				where := file + ": " + p.Title
				checkNames(t, where, target.Expr)
				checkLabels(t, where, target.Expr)
				checkOwn(t, where, target.Expr)
			}
		}
	}
}

// TestEveryMetricIsOnADashboard keeps what is measured in sight.
func TestEveryMetricIsOnADashboard(t *testing.T) {
	all, err := Dashboards()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, d := range all {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				for _, name := range Names(target.Expr) {
					shown[name] = true
					shown[strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count")] = true
				}
			}
		}
	}
	// Shown elsewhere: as an alert alone, or of use in ad-hoc queries only.
	for _, name := range []string{"doorward_proxy_token_expiry_timestamp_seconds", "doorward_proxy_snapshot_published_timestamp_seconds"} {
		shown[name] = true
	}
	for name := range page(t).Metrics {
		if !shown[name] {
			t.Errorf("%q is on no dashboard", name)
		}
	}
}

func TestAlertsUseWhatThereIs(t *testing.T) {
	rules, err := Alerts()
	if err != nil {
		t.Fatal(err)
	}
	runbook, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "operations", "alerts.md"))
	if err != nil {
		t.Fatal(err)
	}
	var documented, have []string
	for _, match := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(string(runbook), -1) {
		documented = append(documented, match[1])
	}
	for _, r := range rules {
		have = append(have, r.Alert)
		checkNames(t, r.Alert, r.Expr)
		checkLabels(t, r.Alert, r.Expr)
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity is %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s: no summary or description", r.Alert)
		}
		if want := "https://github.com/doorward/doorward/blob/main/docs/operations/alerts.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url is %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
	}
	if diff := cmp.Diff(have, documented); diff != "" {
		t.Errorf("docs/operations/alerts.md has a part for each alert, in their order (-rules +page):\n%s", diff)
	}
}

// promtool runs promtool, which hack/install-deps.sh installs.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is not installed: apt-get install prometheus, or hack/install-deps.sh charts")
	}
	command := exec.CommandContext(t.Context(), path, args...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}

func TestRulesAreValid(t *testing.T) {
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", Rules())
}

func TestRulesFire(t *testing.T) {
	promtool(t, "test", "rules", filepath.Join("testdata", "rules_test.yaml"))
}

// TestEveryAlertIsTested keeps an alert from being one that can never fire.
func TestEveryAlertIsTested(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "rules_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := Alerts()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if strings.Count(string(text), "alertname: "+r.Alert+"\n") < 2 {
			t.Errorf("%s is not tested both firing and silent", r.Alert)
		}
	}
}

// TestLabelsAreNotTheScrapes: Prometheus renames a label that the scrape has, too, and the rules and
// dashboards would read where the program runs for what it says.
func TestLabelsAreNotTheScrapes(t *testing.T) {
	for name, m := range page(t).Metrics {
		for _, label := range m.Labels {
			switch label {
			case "instance", "job", "namespace", "pod", "container", "service", "endpoint", "node":
				t.Errorf("%s: label %q is the scrape's", name, label)
			}
		}
	}
}
