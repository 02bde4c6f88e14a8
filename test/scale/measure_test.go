// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/doorward/doorward/test/proc"
)

// phase does something, and returns how long it took.
func (l *lab) phase(do func()) time.Duration {
	l.cpu, l.asks = l.managerCPU(), l.requestsServed()
	began := time.Now()
	do()
	return time.Since(began)
}

// row adds what was measured to the table.
func (l *lab) row(what string, took time.Duration) {
	heap, err := l.managerMetrics(l.Context())
	must(l.T, err)
	served := l.requestsServed() - l.asks
	rate := "-"
	if took > 0 {
		rate = fmt.Sprintf("%.0f", served/took.Seconds())
	}
	l.rows = append(l.rows, fmt.Sprintf("| %s | %s | %s | %.1f s | %d | %d | %d |", what, took.Round(10*time.Millisecond), rate,
		(l.managerCPU()-l.cpu).Seconds(), l.rss(l.manager.PID()), heap>>20, l.rss(l.env.APIServerPID())))
	l.Log(l.rows[len(l.rows)-1])
}

func (l *lab) table() string {
	return "| what | time | requests/s at the API server | CPU of the manager | RSS of the manager, MiB | its heap, MiB | RSS of the API server, MiB |\n|---|---|---|---|---|---|---|\n" +
		strings.Join(l.rows, "\n") + "\n"
}

// managerCPU is the CPU time that the manager has used, /proc/PID/stat (proc(5)).
func (l *lab) managerCPU() time.Duration {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.manager.PID()))
	must(l.T, err)
	_, rest, _ := strings.Cut(string(content), ") ")
	fields := strings.Fields(rest)
	var ticks int64
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(field, 10, 64)
		must(l.T, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100
}

// rss is a process's resident memory in MiB.
func (l *lab) rss(pid int) int64 {
	resident, _, err := proc.Memory(pid)
	must(l.T, err)
	return resident >> 20
}

// managerMetrics is the manager's heap in bytes.
func (l *lab) managerMetrics(ctx context.Context) (heap int64, err error) {
	err = l.eachMetric(ctx, func(name, _ string, value float64) {
		if name == "go_memstats_heap_inuse_bytes" {
			heap = int64(value)
		}
	})
	if err == nil && heap == 0 {
		err = fmt.Errorf("no heap among the metrics of %s", l.metrics)
	}
	return heap, err
}

// eachMetric tells of each of the manager's metrics, in Prometheus' text format.
func (l *lab) eachMetric(ctx context.Context, tell func(name, labels string, value float64)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.metrics+"/metrics", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if strings.HasPrefix(lines.Text(), "#") || at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(lines.Text()[at+1:], 64)
		if err != nil {
			return fmt.Errorf("cannot read metric: %q: %w", lines.Text(), err)
		}
		name, labels, _ := strings.Cut(lines.Text()[:at], "{")
		tell(name, labels, value)
	}
	return lines.Err()
}

// requestsServed is the number of requests that the API server has answered.
func (l *lab) requestsServed() (sum float64) {
	l.eachRequest(func(_ string, count float64) { sum += count })
	return sum
}

// eachRequest tells how many requests of each kind the API server has answered.
func (l *lab) eachRequest(tell func(labels string, count float64)) {
	c, err := kubernetes.NewForConfig(l.env.Direct)
	must(l.T, err)
	text, err := c.Discovery().RESTClient().Get().AbsPath("/metrics").Do(l.Context()).Raw()
	must(l.T, err)
	for line := range strings.Lines(string(text)) {
		if labels, found := strings.CutPrefix(line, "apiserver_request_total{"); found {
			n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			must(l.T, err)
			tell(labels, n)
		}
	}
}
