// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package logsink

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/report"
)

const (
	// maxProxies bounds status.proxies.
	maxProxies = 64
	// maxLeftOut bounds how many Connections a condition names.
	maxLeftOut = 3
)

// writeStatus writes every condition, and what proxies report.
func writeStatus(sink *v1alpha1.LogSink, accepted kit.Verdict, all []delivery, now time.Time) {
	slices.SortFunc(all, worse)
	writeProxies(sink, all, now)
	writeConditions(sink, accepted, reachable(all))
}

// writeConditions writes the conditions only.
func writeConditions(sink *v1alpha1.LogSink, accepted, reachable kit.Verdict) {
	sink.Status.ObservedGeneration = sink.Generation
	ready := kit.Summarise(v1alpha1.ConditionReady, v1alpha1.ReasonReady, accepted, reachable)
	kit.Write(&sink.Status.Conditions, sink.Generation, accepted, reachable, ready)
}

// accepted adds to a positive verdict which Connections do not use the sink.
func accepted(verdict kit.Verdict, leftOut []string) kit.Verdict {
	if !verdict.OK() || len(leftOut) == 0 {
		return verdict
	}
	if n := len(leftOut); n > maxLeftOut {
		leftOut = append(slices.Clone(leftOut[:maxLeftOut]), fmt.Sprintf("%d others", n-maxLeftOut))
	}
	return kit.True(verdict.Type, v1alpha1.ReasonManagedProxiesLeftOut,
		"the proxies of Managed Connections cannot write files that outlive their pods, and do not use this sink: "+strings.Join(leftOut, ", "))
}

// reachable sums up what proxies report, the worst first.
func reachable(all []delivery) kit.Verdict {
	const kind = v1alpha1.ConditionReachable
	failing := 0
	for _, d := range all {
		if failed(d) {
			failing++
		}
	}
	switch {
	case len(all) == 0:
		return kit.Unknown(kind, v1alpha1.ReasonNoReport, "no proxy has reported on the sink yet")
	case failing == 0:
		return kit.True(kind, v1alpha1.ReasonDelivering, "")
	}
	worst := all[0]
	text := fmt.Sprintf("%d of %d proxies cannot deliver; proxy %q of Connection %q: %s",
		failing, len(all), worst.instance, worst.connection.String(), cmp.Or(printable(worst.Error, report.MaxSinkError), "no reason given"))
	if failing == len(all) {
		return kit.False(kind, v1alpha1.ReasonUnreachable, text)
	}
	return kit.False(kind, v1alpha1.ReasonPartlyUnreachable, text)
}

func writeProxies(sink *v1alpha1.LogSink, all []delivery, now time.Time) {
	status := &sink.Status
	status.Proxies, status.Lag, status.LastAcknowledged = nil, nil, nil
	count := int32(min(len(all), 1<<30))
	status.ObservedProxies = &count
	if len(all) == 0 {
		return
	}
	lag := int64(0)
	for _, d := range all {
		lag = max(lag, d.Lag)
	}
	status.Lag, status.LastAcknowledged = &lag, lastAcknowledged(all, now)
	for _, d := range all[:min(len(all), maxProxies)] {
		status.Proxies = append(status.Proxies, v1alpha1.LogSinkProxyStatus{
			Namespace: d.connection.Namespace, Connection: d.connection.Name, Instance: d.instance,
			Lag: max(0, d.Lag), LastAcknowledged: acknowledged(d, now), Message: describe(d),
		})
	}
}

// lastAcknowledged is the oldest time of the proxies that are behind, nil where
// nothing of one of them was ever acknowledged. Where none is behind, it is the
// newest of all: a proxy that nobody uses says nothing of the sink.
func lastAcknowledged(all []delivery, now time.Time) *metav1.Time {
	var oldest, newest *metav1.Time
	behind := false
	for _, d := range all {
		at := acknowledged(d, now)
		if d.Lag > 0 {
			if at == nil {
				return nil
			}
			if !behind || at.Before(oldest) {
				oldest = at
			}
			behind = true
		}
		if at != nil && (newest == nil || newest.Before(at)) {
			newest = at
		}
	}
	if behind {
		return oldest
	}
	return newest
}

func acknowledged(d delivery, now time.Time) *metav1.Time {
	if d.AcknowledgedAt.IsZero() {
		return nil
	}
	at := d.AcknowledgedAt
	if at.After(now) { // a proxy's clock may be ahead
		at = now
	}
	// The API keeps whole seconds; more would differ from what is read back.
	return &metav1.Time{Time: at.Truncate(time.Second)}
}

func describe(d delivery) string {
	text := printable(d.Error, report.MaxSinkError)
	if text == "" && !d.Reachable {
		text = "the last attempt failed"
	}
	if d.Missed > 0 {
		text = strings.TrimPrefix(fmt.Sprintf("%s; %d records were deleted before the sink came", text, d.Missed), "; ")
	}
	return text
}

func failed(d delivery) bool { return !d.Reachable || d.Error != "" }

// worse sorts those that fail first, then those most behind, then those that were
// served the longest ago.
func worse(a, b delivery) int {
	return cmp.Or(
		-compareBool(failed(a), failed(b)), -cmp.Compare(a.Lag, b.Lag), a.AcknowledgedAt.Compare(b.AcknowledgedAt),
		cmp.Compare(a.connection.String(), b.connection.String()), cmp.Compare(a.instance, b.instance))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// printable makes text of a report fit to show: whoever may write ConfigMaps may
// have written it.
func printable(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "")
	}
	return strings.TrimSpace(text)
}

// lastReachable is the condition as it was written last, for as long as this
// manager does not know better.
func lastReachable(sink *v1alpha1.LogSink) kit.Verdict {
	if c := meta.FindStatusCondition(sink.Status.Conditions, v1alpha1.ConditionReachable); c != nil {
		return kit.Verdict{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message}
	}
	return reachable(nil)
}

// changed says whether a condition has another status or reason, or is of another
// generation: what somebody may be waiting for.
func changed(before, after *v1alpha1.LogSink) bool {
	return !slices.EqualFunc(before.Status.Conditions, after.Status.Conditions, func(a, b metav1.Condition) bool {
		return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason && a.ObservedGeneration == b.ObservedGeneration
	})
}
