// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/report"
)

// reasonUndelivered is the reason of the Event about records that were left behind.
const reasonUndelivered = "UndeliveredRecords"

// warnOfLeftovers tells of instances that are gone and whose last report says that
// LogSinks lack records: those that were scaled away, above all, whose claim nobody
// mounts any more. The entries are pruned, so that it is told once.
func (r *Reconciler) warnOfLeftovers(s *scope, pruned map[string]string) {
	for instance, text := range pruned {
		last, err := report.Decode(instance, text)
		if err != nil {
			continue // it said nothing
		}
		var lacking []string
		for _, sink := range last.Sinks {
			if sink.Lag > 0 {
				lacking = append(lacking, fmt.Sprintf("LogSink %q lacked %d", sink.Name, sink.Lag))
			}
		}
		if len(lacking) > 0 {
			r.warn(s, reasonUndelivered, "Deliver", "proxy %q is gone, and %s of its records: %s",
				instance, cut(strings.Join(lacking, ", "), 400), whereabouts(s.connection, instance))
		}
	}
}

// whereabouts says where the log of an instance that is gone is, and what to do.
func whereabouts(c *v1alpha1.Connection, instance string) string {
	if !managed(c) {
		return "they are in its --spool directory; start it again there"
	}
	if spool(c) == nil {
		return "they were on an emptyDir and went with the pod; a LogSink of a remote type has those that were acknowledged"
	}
	claim := spoolVolume + "-" + instance
	if n, ok := ordinal(c, instance); ok && n >= int(*replicas(c)) {
		return fmt.Sprintf("they are in PersistentVolumeClaim %q, which no pod uses; set proxy.managed.replicas to %d until they are delivered, "+
			"and do not delete the claim before", claim, n+1)
	}
	return fmt.Sprintf("they are in PersistentVolumeClaim %q and are delivered when its pod is back", claim)
}

// ordinal is the number of a pod of the Connection's StatefulSet.
func ordinal(c *v1alpha1.Connection, instance string) (int, bool) {
	text, found := strings.CutPrefix(instance, ObjectName(c.Name)+"-")
	n, err := strconv.Atoi(text)
	return n, found && err == nil && n >= 0
}
