// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package detect

import "testing"

// The race detector has pools drop values at random, so that these tests are built
// without it.

func TestAppendAllocates(t *testing.T) {
	set := New(Rule{Detector: Email}, Rule{Detector: JWT}, Rule{Detector: PaymentCard}, Rule{Detector: IPAddress}, Rule{Detector: IBAN}, Rule{Detector: Phone})
	value := []byte("alice@example.com +49 30 1234567 4111 1111 1111 1111 DE89 3704 0044 0532 0130 00 fe80::1 10.0.0.1 " + token64)
	room := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(200, func() {
		if _, found, _ := set.Append(room, value); found != 7 {
			t.Fatalf("%d findings", found)
		}
	}); n != 0 {
		t.Errorf("allocates %v times, want none", n)
	}
}
