// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

// Scanner replaces the findings of a text that comes in chunks. It gives what
// Append gives for the whole, however the text is cut, but for rules with Null:
// a stream cannot become NULL, so their findings become [masked]. It holds back
// what may be part of a finding that has not ended, at most MaxHeld bytes. It is
// for one goroutine.
type Scanner struct {
	set *Set
	buf []byte
	// Before sent, buf is out and stays for what looks back; before at it is
	// decided but for the beginning of an e-mail address. floor is the end of
	// the last finding.
	sent, at, floor int
	// drop are the bytes with which the last finding goes on, or nil.
	drop  *charset
	found int
	rules uint64
	begun bool
}

// MaxHeld is how many bytes a Scanner holds back at most.
const MaxHeld = MaxFinding + maxLocal

// lookBack is how many bytes before a place its check may look at, beside the
// beginning of an e-mail address.
const lookBack = 2

// Scanner begins a text.
func (s *Set) Scanner() *Scanner { return &Scanner{set: s} }

// Found is how many findings there were so far.
func (c *Scanner) Found() int { return c.found }

// Rules says which of New's rules had findings so far: bit i is rule i, of the first 64.
func (c *Scanner) Rules() uint64 { return c.rules }

// Append takes the next chunk of the text and appends to dst what is decided.
func (c *Scanner) Append(dst, chunk []byte) []byte {
	if c.set.whole > 0 {
		return c.hide(dst, len(chunk) > 0)
	}
	c.buf = append(c.buf, chunk...)
	return c.scan(dst, false)
}

// Pause appends to dst what was held back, as if the text had ended here, for a text that comes
// no further for a while and is waited for. It goes on after: a finding that is longer than its
// bound stays hidden to its end, one that the pause cuts is looked for in each half alone.
func (c *Scanner) Pause(dst []byte) []byte {
	if c.set.whole > 0 {
		return dst
	}
	dst = c.scan(dst, true)
	clear(c.buf)
	c.buf, c.sent, c.at, c.floor = c.buf[:0], 0, 0, 0
	return dst
}

// Flush ends the text and appends to dst what was held back. What comes
// afterwards is another text.
func (c *Scanner) Flush(dst []byte) []byte {
	if c.set.whole > 0 {
		dst = c.hide(dst, true)
	} else {
		dst = c.scan(dst, true)
	}
	clear(c.buf)
	c.buf, c.sent, c.at, c.floor, c.drop, c.begun = c.buf[:0], 0, 0, 0, nil, false
	return dst
}

// hide stands one [masked] for a whole text.
func (c *Scanner) hide(dst []byte, some bool) []byte {
	if c.begun || !some {
		return dst
	}
	c.begun = true
	c.hit(c.set.whole - 1)
	return append(dst, masked...)
}

func (c *Scanner) scan(dst []byte, final bool) []byte {
	for {
		for c.drop != nil && c.at < len(c.buf) {
			if !c.drop[c.buf[c.at]] {
				c.drop = nil
				break
			}
			c.at++
			c.sent, c.floor = c.at, c.at
		}
		if c.drop != nil {
			break
		}
		m, verdict := c.set.next(view{v: c.buf, final: final, floor: c.floor}, c.at)
		if verdict != yes {
			c.at = len(c.buf)
			if verdict == more {
				c.at = m.start
			}
			dst = c.send(dst, final)
			break
		}
		found := c.set.of[m.detector] - 1
		c.hit(found)
		dst = append(dst, c.buf[c.sent:m.start]...)
		rule := &c.set.rules[found]
		dst = rule.replace(dst, c.buf[m.start:m.end], m.open != nil || rule.Null)
		c.at, c.sent, c.floor, c.drop = m.end, m.end, m.end, m.open
	}
	c.forget()
	return dst
}

func (c *Scanner) hit(rule int) {
	c.found++
	if rule < 64 {
		c.rules |= 1 << rule
	}
}

// send appends what is decided: all before at, without what an e-mail address may
// begin with.
func (c *Scanner) send(dst []byte, final bool) []byte {
	end := c.at
	if !final && c.set.on(iEmail) {
		for end > c.sent && c.at-end < maxLocal && local[c.buf[end-1]] {
			end--
		}
	}
	dst = append(dst, c.buf[c.sent:end]...)
	c.sent = end
	return dst
}

// forget lets go of what is out and nobody looks back at.
func (c *Scanner) forget() {
	n := min(c.sent, c.at) - lookBack
	if n <= 0 {
		return
	}
	kept := copy(c.buf, c.buf[n:])
	clear(c.buf[kept:])
	c.buf = c.buf[:kept]
	c.sent, c.at, c.floor = c.sent-n, c.at-n, max(c.floor-n, 0)
}
