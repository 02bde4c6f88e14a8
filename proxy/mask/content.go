// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strconv"
	"sync"

	"github.com/doorward/doorward/proxy/mask/detect"
	"github.com/doorward/doorward/proxy/policy"
)

// compileDetectors makes the set of the masks' detectors.
func (c *compiled) compileDetectors(masks []policy.Mask) {
	index := map[string]int{}
	var names []string
	for _, m := range masks {
		for _, name := range m.Detect {
			i, known := index[name]
			switch {
			case !known:
				index[name] = len(c.methods)
				c.methods = append(c.methods, m.Method)
				names = append(names, name)
			case stricter(m.Method, c.methods[i]):
				c.methods[i] = m.Method
			}
		}
	}
	if len(names) == 0 {
		return
	}
	rules := make([]detect.Rule, len(names))
	for i, name := range names {
		rules[i] = detect.Rule{Detector: detect.Detector(name), Null: c.methods[i].Type == policy.Null, Replace: c.replacer(c.methods[i])}
	}
	c.detectors, c.set = names, detect.New(rules...)
}

func (c *compiled) replacer(method policy.Method) func(dst, finding []byte) []byte {
	return func(dst, finding []byte) []byte {
		out, null := Rules{c}.Append(dst, method, Text, false, finding)
		if null {
			return append(out, redacted...)
		}
		return out
	}
}

// AppendContent appends a value to dst with what the detectors find in it
// masked, and says how much they found, or that the value becomes NULL. What
// they find in text and JSON is replaced there; a value of another kind is
// masked as a whole by the method of what was found first. A value without
// findings is appended as it is. Like Append it allocates nothing where dst has
// room, and value must not overlap it.
func (r Rules) AppendContent(dst []byte, k Kind, binary bool, value []byte) (out []byte, found int, null bool) {
	set := r.Detect()
	if set == nil {
		return append(dst, value...), 0, false
	}
	switch k { //nolint:exhaustive // the default holds for every other kind
	case Text, Char:
		return set.Append(dst, value)
	case JSON, JSONB:
		start := len(dst)
		out, found, null = set.Append(dst, value)
		if found == 0 || null {
			return out, found, null
		}
		// A finding that was no part of a string leaves something else than JSON.
		body := start
		if k == JSONB && binary {
			body++
		}
		if len(out) < body || !json.Valid(out[body:]) {
			out, null = appendJSON(out[:start], k == JSONB && binary, redacted), false
		}
		return out, found, null
	}
	first, is := findAny(set, k, binary, value)
	if !is {
		return append(dst, value...), 0, false
	}
	out, null = r.Append(dst, r.methods[first], k, binary, value)
	return out, 1, null
}

// appendBinaryText writes an integer, a number or an address in binary format as
// people do.
func appendBinaryText(dst []byte, k Kind, value []byte) ([]byte, bool) {
	switch k {
	case Numeric:
		return appendNumericText(dst, value)
	case Inet:
		return appendInetText(dst, value)
	default:
		n, ok := decodeInt(k, true, value)
		return strconv.AppendInt(dst, n, 10), ok
	}
}

// findAny looks into a value that is no text, in the form that people write.
func findAny(set *detect.Set, k Kind, binary bool, value []byte) (rule int, found bool) {
	switch {
	case k == Bool || k == UUID || k >= Date && k <= Interval || k == Float4 || k == Float8:
		return 0, false // no detector's findings have these shapes
	case k == Bytes && !binary && len(value) >= 2 && value[0] == '\\' && value[1] == 'x':
		s := findPool.Get().(*findScratch) //nolint:forcetypeassert,errcheck // the pool's own New
		defer s.give()
		s.text = append(s.text[:0], value[2:]...)
		n, err := hex.Decode(s.text, s.text)
		if err != nil {
			return set.Find(value)
		}
		return set.Find(s.text[:n])
	case binary && (k.width() > 0 || k == Numeric || k == Inet):
		s := findPool.Get().(*findScratch) //nolint:forcetypeassert,errcheck // the pool's own New
		defer s.give()
		var ok bool
		if s.text, ok = appendBinaryText(s.text[:0], k, value); !ok {
			return 0, false
		}
		return set.Find(s.text)
	default:
		return set.Find(value)
	}
}

// findScratch holds a value in the form that people write.
type findScratch struct{ text []byte }

var findPool = sync.Pool{New: func() any { return new(findScratch) }}

func (s *findScratch) give() {
	s.text = wiped(s.text)
	findPool.Put(s)
}

// appendInetText appends the text of an inet or cidr in binary format
// (network_send in network.c): family, bits, whether a cidr, size, address.
func appendInetText(dst, value []byte) ([]byte, bool) {
	if len(value) < 4 || int(value[3]) != len(value)-4 {
		return dst, false
	}
	address, ok := netip.AddrFromSlice(value[4:])
	if !ok {
		return dst, false
	}
	return address.AppendTo(dst), true
}
