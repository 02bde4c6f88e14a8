// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kube is the only part of the proxy that talks to the API server: it
// watches the snapshot, the credential and the serving certificate by name,
// asks for approvals, shows sessions as AuditSession objects, reports how the
// proxy fares and keeps its token fresh.
//
// Nothing here decides. Where the API server is away, nothing arrives: the gate
// goes stale by itself, approvals cannot be had, and what has to be shown is
// written afterwards from the log.
package kube
