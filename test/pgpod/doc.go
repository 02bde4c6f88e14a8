// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pgpod is PostgreSQL as a pod: an image made of this machine's own
// PostgreSQL, psql among it, and the objects that run it with TLS, under the
// restricted Pod Security Standard.
package pgpod
