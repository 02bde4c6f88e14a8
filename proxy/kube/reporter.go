// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/proxy/report"
)

// ErrDuplicateInstance says that another live proxy reports under this id.
var ErrDuplicateInstance = errors.New("another live proxy has the same instance id")

// Reporter tells the manager how this instance serves one Connection.
type Reporter struct {
	Client          *Client
	Namespace, Name string
	Instance, Nonce string
	Address         string
	// Recordings is where recordings are given to the manager; empty for nowhere.
	Recordings string
	Revision   func() int64
	// Wants, where not nil, is the least revision that is taken: see report.Report.
	Wants    func() int64
	Problems *Problems
	// Sinks, where not nil, is how the LogSinks take the records.
	Sinks func() []report.Sink
	// Target, where not nil, is what is known of the target.
	Target func() *report.Target
	// Audits, where not nil, count what policies in mode Audit would have changed.
	Audits func() []report.Audit
	Log    logr.Logger
}

// Reports are renewed a good while before they count as stale, and no more
// often than every reportSoonest. The revision and the sinks are looked at every
// reportLook; while records wait for a sink, the report is renewed every
// reportBehind.
const (
	reportEvery   = report.RenewEvery * 2 / 3
	reportBehind  = 5 * time.Second
	reportSoonest = 500 * time.Millisecond
	reportLook    = 250 * time.Millisecond
)

// Claim makes sure that no other live proxy has this instance's id, and writes
// the first report. An API server that cannot be reached is an error too: only
// it can tell.
func (r *Reporter) Claim(ctx context.Context) error {
	for {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		err := r.claim(ctx)
		cancel()
		// Somebody else reported in between: look again.
		if !apierrors.IsConflict(err) {
			return err
		}
	}
}

func (r *Reporter) claim(ctx context.Context) error {
	reports, err := r.Client.configMaps(r.Namespace).Get(ctx, report.ConfigMapName(r.Name), metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("cannot read the reports of connection %q: %w", r.Namespace+"/"+r.Name, err)
	}
	if text, found := reports.Data[r.Instance]; found {
		// What cannot be read is nobody's report.
		other, err := report.Decode(r.Instance, text)
		if age := time.Since(other.ObservedAt); err == nil && other.Nonce != r.Nonce && age < report.StaleAfter {
			return fmt.Errorf("%w: %q reported %s ago: give each proxy an --instance of its own, or wait %s after its end",
				ErrDuplicateInstance, r.Instance, age.Round(time.Second), report.StaleAfter)
		}
	}
	return r.write(ctx, reports.ResourceVersion)
}

// Run renews the report until ctx ends, and takes it back then.
func (r *Reporter) Run(ctx context.Context) {
	look := time.NewTicker(reportLook)
	defer look.Stop()
	written, revision := time.Time{}, int64(-1)
	var told []report.Sink
	changed := true
	for {
		select {
		case <-ctx.Done():
			r.retract(context.WithoutCancel(ctx))
			return
		case <-r.Problems.changed:
			changed = true
		case <-look.C:
		}
		now, sinks := r.Revision(), r.sinks()
		since, every := time.Since(written), reportEvery
		if behind(told) || behind(sinks) {
			every = reportBehind
		}
		if since < reportSoonest || !changed && now == revision && !turned(told, sinks) && since < every {
			continue
		}
		written, revision, told, changed = time.Now(), now, sinks, false
		bound, cancel := context.WithTimeout(ctx, requestTimeout)
		err := r.write(bound, "")
		cancel()
		if err != nil && ctx.Err() == nil {
			changed = true
			r.Log.V(1).Info("Cannot report", "reason", err.Error())
		}
	}
}

func (r *Reporter) sinks() []report.Sink {
	if r.Sinks == nil {
		return nil
	}
	return r.Sinks()
}

// behind says whether records wait for a sink.
func behind(sinks []report.Sink) bool {
	return slices.ContainsFunc(sinks, func(s report.Sink) bool { return s.Lag > 0 })
}

// turned says whether sinks came, went, failed or recovered: that is told at
// once. Another word of the same failure can wait.
func turned(before, now []report.Sink) bool {
	return !slices.EqualFunc(before, now, func(a, b report.Sink) bool {
		return a.Name == b.Name && a.Reachable == b.Reachable && (a.Error == "") == (b.Error == "")
	})
}

// write patches this instance's key; a version, where given, must still be the
// ConfigMap's.
func (r *Reporter) write(ctx context.Context, version string) error {
	told := report.Report{
		Instance: r.Instance, Revision: r.Revision(), ObservedAt: time.Now().UTC(), Nonce: r.Nonce,
		Address: r.Address, Recordings: r.Recordings, Problems: r.Problems.List(), Sinks: r.sinks(),
	}
	if r.Audits != nil {
		told.Audits = r.Audits()
	}
	if r.Wants != nil {
		told.Wants = r.Wants()
	}
	if r.Target != nil {
		told.Target = r.Target()
	}
	text, err := report.Encode(told)
	if err != nil {
		return err
	}
	return r.patch(ctx, version, &text)
}

// retract takes the report back, so that the next process need not wait. A log that
// lacks sinks leaves its report behind: it is all that tells of it, and the next
// process with the same log may replace it.
func (r *Reporter) retract(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if behind(r.sinks()) {
		r.Problems.Set(report.Stopped, report.Stopped, "the proxy has stopped, and not all LogSinks have all of its records")
		if err := r.write(ctx, ""); err != nil {
			r.Log.V(1).Info("Cannot report what is left", "reason", err.Error())
		}
		return
	}
	if err := r.patch(ctx, "", nil); err != nil {
		r.Log.V(1).Info("Cannot take the report back", "reason", err.Error())
	}
}

func (r *Reporter) patch(ctx context.Context, version string, text *string) error {
	body := map[string]any{"data": map[string]*string{r.Instance: text}}
	if version != "" {
		body["metadata"] = map[string]string{"resourceVersion": version}
	}
	patch, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("cannot encode report: %w", err)
	}
	_, err = r.Client.configMaps(r.Namespace).Patch(ctx, report.ConfigMapName(r.Name), types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("cannot write the report of connection %q: %w", r.Namespace+"/"+r.Name, err)
	}
	return nil
}
