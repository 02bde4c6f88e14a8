// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command roots prints the certificates of the authorities that Mozilla trusts
// for servers, in PEM: what is /etc/ssl/certs/ca-certificates.crt in the image.
//
// Authorities that are trusted under a condition only (certificates issued
// before a date, say) are left out, because a file of certificates cannot say
// the condition.
package main

import (
	"encoding/pem"
	"fmt"
	"os"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

func main() {
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(os.Stdout, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			fmt.Fprintln(os.Stderr, "cannot write a certificate:", err)
			os.Exit(1)
		}
	}
}
