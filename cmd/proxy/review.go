// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/all"
	"github.com/doorward/doorward/proxy/review"
)

// reviews answers callers of a Connection what they may do there, in the words of the
// protocols that this build has.
func (p *proxy) reviews(connection string) *review.Handler {
	vocabularies := map[string]policy.Vocabulary{}
	for _, one := range all.Protocols() {
		vocabularies[one.Name()] = one.Vocabulary()
	}
	return review.New(review.Options{
		Vocabulary: func(protocol string) (policy.Vocabulary, bool) {
			vocabulary, known := vocabularies[protocol]
			return vocabulary, known
		},
		Answered: p.metrics.Reviews(connection, review.Outcomes()),
	})
}
