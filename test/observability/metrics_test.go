// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package observability

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/doorward/doorward/controllers/directway"
	"github.com/doorward/doorward/controllers/figures"
	"github.com/doorward/doorward/controllers/login"
	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/server"
	"github.com/doorward/doorward/test/monitoring"
)

// get is the body of an answer with status 200.
func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("cannot ask: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("cannot ask: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s: %s", url, response.Status, body)
	}
	return string(body), nil
}

var (
	typeLine = regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`)
	sample   = regexp.MustCompile(`(?m)^(doorward_\w+)\{([^}]*)\}`)
	label    = regexp.MustCompile(`(\w+)="`)
)

// exposed is what /metrics of a program shows: types and labels by name.
func exposed(body string) map[string]monitoring.Metric {
	all := map[string]monitoring.Metric{}
	for _, match := range typeLine.FindAllStringSubmatch(body, -1) {
		all[match[1]] = monitoring.Metric{Type: match[2]}
	}
	for _, match := range sample.FindAllStringSubmatch(body, -1) {
		name := match[1]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, found := strings.CutSuffix(name, suffix); found && all[base].Type == "histogram" {
				name = base
			}
		}
		m := all[name]
		m.Labels = nil
		for _, l := range label.FindAllStringSubmatch(match[2], -1) {
			if l[1] != "le" {
				m.Labels = append(m.Labels, l[1])
			}
		}
		slices.Sort(m.Labels)
		all[name] = m
	}
	return all
}

// untouched are metrics that the suite has nothing happen for: those of the
// registries, with every label touched, and those of whom only the description
// can be asked.
func untouched(t *testing.T) map[string]monitoring.Metric {
	t.Helper()
	metrics := server.NewMetrics()
	metrics.BuildInfo("v0")
	o := metrics.Observe("data/shop")
	o.Refused(&access.Login{}, access.ReasonCredential)
	w := o.Opened(&access.Login{}, "s")
	w.Operation(access.Observed{Operation: &record.Operation{}, Reason: access.ReasonDenied, Approval: &record.Approval{}, Result: &record.Result{}})
	w.Closed(access.EndClosed, time.Second)
	metrics.Reviews("data/shop", []string{"Allow"})
	metrics.Recordings("data/shop", []string{"Served"})
	metrics.WatchExpiry("token_expiry_timestamp_seconds", "x", "", func() time.Time { return time.Time{} })
	registry := metrics.Registry()
	server.NewLoginMetrics(registry).Touch("data/shop")
	manager := prometheus.NewRegistry()
	counted, err := figures.New(manager, "v0")
	if err != nil {
		t.Fatal(err)
	}
	counted.Approval("Denied")
	portal, err := login.NewFigures(manager)
	if err != nil {
		t.Fatal(err)
	}
	portal.Issued("Token", "authorization_code")
	portal.Refused("token", "invalid_grant")
	counted.Notified("chat", "Sent")
	counted.NotificationsWaiting("chat", 1)
	all := map[string]monitoring.Metric{}
	for _, r := range []*prometheus.Registry{registry, manager} {
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			m := monitoring.Metric{Type: strings.ToLower(family.GetType().String())}
			for _, pair := range family.GetMetric()[0].GetLabel() {
				m.Labels = append(m.Labels, pair.GetName())
			}
			slices.Sort(m.Labels)
			all[family.GetName()] = m
		}
	}
	descriptions := make(chan *prometheus.Desc, 32)
	(&directway.Prober{}).Describe(descriptions)
	if err := figures.Watch(described(descriptions), figures.Sources{}); err != nil {
		t.Fatal(err)
	}
	close(descriptions)
	for d := range descriptions {
		match := regexp.MustCompile(`fqName: "(\w+)".*variableLabels: \{([^}]*)\}`).FindStringSubmatch(d.String())
		m := monitoring.Metric{Type: "gauge"}
		if match[2] != "" {
			m.Labels = strings.Split(match[2], ",")
			slices.Sort(m.Labels)
		}
		all[match[1]] = m
	}
	return all
}

// described takes the descriptions of what is registered.
type described chan<- *prometheus.Desc

func (d described) Register(c prometheus.Collector) error {
	c.Describe(d)
	return nil
}

func (d described) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		c.Describe(d)
	}
}

func (described) Unregister(prometheus.Collector) bool { return false }

func TestEveryMetricIsDocumented(t *testing.T) {
	busy(t)
	documented, err := monitoring.Page()
	if err != nil {
		t.Fatal(err)
	}
	var proxy, manager1 string
	await(t, "metrics of both programs, with those of the leader", func(ctx context.Context) error {
		if proxy, err = get(ctx, "http://"+suite.Proxy().HealthAddress+"/metrics"); err != nil {
			return err
		}
		if manager1, err = get(ctx, "http://"+manager.metrics+"/metrics"); err != nil {
			return err
		}
		for _, want := range []string{"doorward_manager_objects{", `doorward_manager_ca_expiry_timestamp_seconds{authority="serving"} `, `doorward_manager_ca_expiry_timestamp_seconds{authority="ssh-host"} `, "doorward_manager_enforcement_proven 1\n"} {
			if !strings.Contains(manager1, want) {
				return fmt.Errorf("the manager does not tell %q yet", want)
			}
		}
		return nil
	})
	sizes(t, proxy, manager1)
	have := untouched(t)
	for program, body := range map[string]string{"proxy": proxy, "manager": manager1} {
		lint(t, program, body)
		shown := exposed(body)
		for name := range shown {
			if !documented.Has(name) {
				t.Errorf("%s: %q is not in docs/operations/metrics.md", program, name)
			}
		}
		maps.Copy(have, shown)
	}
	for name, want := range documented.Metrics {
		slices.Sort(want.Labels)
		got, found := have[name]
		if !found {
			t.Errorf("%q is in docs/operations/metrics.md and is gone", name)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-docs/operations/metrics.md +program):\n%s", name, diff)
		}
	}
	// Checklist 47: no label holds a name, a statement or a credential.
	for _, canary := range []string{suite.Canary, headerCanary, person, "canary", "orders"} {
		if strings.Contains(proxy+manager1, canary) {
			t.Errorf("a metric holds %q", canary)
		}
	}
}

// sizes logs what docs/operations/sizing.md tells of both programs at rest.
func sizes(t *testing.T, proxy, manager string) {
	t.Helper()
	for program, body := range map[string]string{"proxy": proxy, "manager": manager} {
		t.Logf("%s: %d series, %d of a Connection", program, len(regexp.MustCompile(`(?m)^[a-z]`).FindAllString(body, -1)), strings.Count(body, "connection="))
		for _, name := range []string{"process_resident_memory_bytes", "doorward_log_bytes", "doorward_proxy_log_records"} {
			if match := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(body); match != nil {
				t.Logf("%s: %s %s", program, name, match[1])
			}
		}
	}
}

// lint has promtool look at what a program exposes.
func lint(t *testing.T, program, body string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not installed, so nothing was linted: apt-get install prometheus, or hack/install-deps.sh charts")
		return
	}
	command := exec.CommandContext(t.Context(), path, "check", "metrics")
	command.Stdin = strings.NewReader(body)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil || output.Len() > 0 {
		t.Errorf("promtool check metrics of the %s: %v\n%s", program, err, output.String())
	}
}
