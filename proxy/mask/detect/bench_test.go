// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// benchTexts are rows of about 100 bytes: plain ones, and such as have something
// to find in each.
func benchTexts() map[string][]byte {
	var plainRows, dense strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&plainRows, "%d|2026-11-%02d 06:%02d:12.123456|order-%08d|shipped to the customer in good order|%d.%02d|f3a9c1d%x\n", i, i%28+1, i%60, i*7919, i%500, i%100, i)
		fmt.Fprintf(&dense, "%d|alice%d@example.com|+49 30 1234%03d|4111 1111 1111 1111|10.0.%d.%d|paid in full by the customer|%d\n", i, i, i%1000, i%256, i/256, i*31)
	}
	return map[string][]byte{"plain": []byte(plainRows.String()), "dense": []byte(dense.String())}
}

func BenchmarkAppend(b *testing.B) {
	every := make([]Rule, 0, count)
	for _, d := range Detectors() {
		every = append(every, Rule{Detector: d})
	}
	for name, text := range benchTexts() {
		for kind, set := range map[string]*Set{"all": New(every...), "email": New(Rule{Detector: Email}), "card": New(Rule{Detector: PaymentCard})} {
			room := make([]byte, 0, 2*len(text))
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					set.Append(room, text)
				}
			})
		}
		// What the scanner is instead of.
		b.Run(name+"/regexp-email", func(b *testing.B) {
			expression := regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}`)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				expression.FindAllIndex(text, -1)
			}
		})
		set := New(every...)
		room := make([]byte, 0, 2*len(text))
		b.Run(name+"/scanner", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				scanner, out := set.Scanner(), room
				for rest := text; len(rest) > 0; {
					size := min(len(rest), 4096)
					out = scanner.Append(out, rest[:size])
					rest = rest[size:]
				}
				scanner.Flush(out)
			}
		})
	}
}
