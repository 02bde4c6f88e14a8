// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"slices"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/snapshot"
)

// audit compiles how the trail is kept. What is unset stays at the zero value,
// which is the safest and the least that is kept.
func audit(c *v1alpha1.Connection) snapshot.Audit {
	a := c.Spec.Audit
	if a == nil {
		return snapshot.Audit{}
	}
	return snapshot.Audit{
		Durability:          string(a.Durability),
		ReadOverlap:         a.ReadOverlap == v1alpha1.ReadOverlapEnabled,
		Responses:           string(a.Responses),
		Parameters:          string(a.Parameters),
		LogRetentionSeconds: int64(a.LogRetentionSeconds),
		LegalHold:           a.LegalHold == v1alpha1.LegalHoldEnabled,
	}
}

func managed(c *v1alpha1.Connection) bool { return c.Spec.Proxy.Placement == v1alpha1.PlacementManaged }

func remote(c *v1alpha1.Connection) bool {
	return c.Spec.Audit != nil && c.Spec.Audit.Durability == v1alpha1.AuditDurabilityRemote
}

// logFault refuses a Connection whose records would go with the proxy's pod. CEL
// says the same at admission; this is for what was there before.
func logFault(c *v1alpha1.Connection) *fault {
	if !managed(c) || remote(c) || c.Spec.Proxy.Managed != nil && c.Spec.Proxy.Managed.Spool != nil {
		return nil
	}
	return &fault{v1alpha1.ReasonVolatileLog, errors.New("without a volume claim, the records of a Managed proxy go with its pod: " +
		"set spec.proxy.managed.spool, or set spec.audit.durability to Remote and define a LogSink of a remote type")}
}

// Durable says whether there is where the Connection's records can be kept as it
// asks; sinks are the verdicts Accepted of the world's LogSinks by name.
func Durable(c *v1alpha1.Connection, all []v1alpha1.LogSink, sinks map[string]kit.Verdict) kit.Verdict {
	const kind = v1alpha1.ConditionRecordDurable
	if !remote(c) {
		return kit.True(kind, v1alpha1.ReasonLocalDisk, "")
	}
	if slices.ContainsFunc(all, func(s v1alpha1.LogSink) bool { return s.Spec.Type.Remote() && sinks[s.Name].OK() }) {
		return kit.True(kind, v1alpha1.ReasonRemoteSink, "")
	}
	return kit.False(kind, v1alpha1.ReasonNoRemoteSink, "spec.audit.durability is Remote, and no accepted LogSink is of type S3, OTLP, Syslog, Kafka or Webhook: "+
		"every operation is refused until there is one")
}
