// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

// charset is a set of bytes.
type charset [256]bool

func charsOf(sets ...string) *charset {
	c := &charset{}
	for _, set := range sets {
		for i := range len(set) {
			c[set[i]] = true
		}
	}
	return c
}

const (
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lower   = "abcdefghijklmnopqrstuvwxyz"
	decimal = "0123456789"
)

var (
	digits    = charsOf(decimal)
	word      = charsOf(upper, lower, decimal, "_")
	hexDigits = charsOf(decimal, "abcdefABCDEF")
	base64url = charsOf(upper, lower, decimal, "-_")
	base64std = charsOf(upper, lower, decimal, "+/=")
)

// view is the text that is looked at. Where it is not final, more may follow.
type view struct {
	v     []byte
	final bool
	// floor is the end of the last finding; none begins before it.
	floor int
}

// verdict is what a check of a place came to.
type verdict int

const (
	no verdict = iota
	yes
	// more says that it depends on bytes that have not come yet.
	more
)

// match is a finding. Start may be before or after the place that was checked,
// end is behind it.
type match struct {
	start, end int
	detector   int
	// open are the bytes with which a finding goes on that has reached MaxFinding.
	open *charset
}

// ended is more, or no where nothing more comes.
func (v view) ended() verdict {
	if v.final {
		return no
	}
	return more
}

// boundary says whether a word can end before i: yes, no or more.
func (v view) boundary(i int) verdict {
	switch {
	case i < len(v.v) && word[v.v[i]]:
		return no
	case i >= len(v.v) && !v.final:
		return more
	default:
		return yes
	}
}

// follows says whether a text stands at i, in any case where fold is set; it is
// given in lower case then.
func (v view) follows(i int, text string, fold bool) verdict {
	for j := range len(text) {
		if i+j >= len(v.v) {
			return v.ended()
		}
		c := v.v[i+j]
		if fold && 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != text[j] {
			return no
		}
	}
	return yes
}

// run is the end of the bytes of a set that begin at i, at most limit of them.
// It is more where they may go on.
func (v view) run(i, limit int, set *charset) (end int, verdict verdict) {
	top := min(i+limit, len(v.v))
	for end = i; end < top; end++ {
		if !set[v.v[end]] {
			return end, yes
		}
	}
	if end < i+limit && !v.final {
		return end, more
	}
	return end, yes
}

// before is the byte n before i, 0 where there is none.
func (v view) before(i, n int) byte {
	if i < n {
		return 0
	}
	return v.v[i-n]
}
