// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// userAlphabet has no vowels, so that it spells nothing (RFC 8628, section 6.1).
const userAlphabet = "BCDFGHJKLMNPQRSTVWXZ"

// userLetters are 11 of 20, 47 bits, and a twelfth that finds mistypings. A code lives for 10
// minutes; one host may enter 10 and then one in 10 s, but for those that come with their own
// link, so that in the life of a code it tries 70 of 2e14. Whoever hits one has lent a device his own identity and gained nothing: what a
// code opens is a login of whoever enters it (RFC 8628, section 5.2). Nobody keeps which codes
// are in use, so that two devices could have one, and the one get the other's login: whoever
// asks for codes at the pace of a host has 6000 of them.
const userLetters = 11

// userWeights have no factor in common with 20, so that each mistyped letter shows, and
// neighbours differ, so that most that changed places do.
var userWeights = [userLetters]int{1, 3, 7, 9, 11, 13, 17, 19, 1, 3, 7}

// userCode is the code that a person types for a device: derived from the device's id,
// which nobody can guess, so that every replica knows it.
func userCode(device string) string {
	sum := sha256.Sum256([]byte("doorward.dev/login/user-code\n" + device))
	n := binary.BigEndian.Uint64(sum[:8])
	var code [userLetters]byte
	for i := range code {
		code[i] = userAlphabet[n%uint64(len(userAlphabet))]
		n /= uint64(len(userAlphabet))
	}
	return string(code[:]) + string(checkLetter(string(code[:])))
}

func checkLetter(code string) byte {
	sum := 0
	for i := range userLetters {
		sum += userWeights[i] * strings.IndexByte(userAlphabet, code[i])
	}
	return userAlphabet[sum%len(userAlphabet)]
}

// typed reads what a person typed; empty where it is no code.
func typed(text string) string {
	code := strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(text))
	if len(code) != userLetters+1 || strings.Trim(code, userAlphabet) != "" || checkLetter(code) != code[userLetters] {
		return ""
	}
	return code
}

// spaced is a code as people read it; empty for none.
func spaced(code string) string {
	if len(code) != userLetters+1 {
		return ""
	}
	return code[:4] + "-" + code[4:8] + "-" + code[8:]
}
