// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package evasion

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// forms are what a twin's masked values look like, in every form that the cases
// may bring them in.
func (v values) forms() map[string]string {
	out := map[string]string{}
	for name, word := range map[string]string{
		"tag": "zq" + v.tag, "half of the tag": v.tag, "card": v.tag6, "token": v.tag8, "number": v.number[:min(6, len(v.number))], "date": v.date, "address": "10." + v.octet + ".7.",
	} {
		if name == "number" && len(word) < 6 {
			continue // too short to be anything by itself; the other twin's is not
		}
		out[name] = word
		out[name+", in hex"] = hex.EncodeToString([]byte(word))
		out[name+", in upper-case hex"] = strings.ToUpper(hex.EncodeToString([]byte(word)))
		out[name+", reversed"] = reversed(word)
		for cut := range 3 { // what stands before it decides how base64 falls
			encoded := base64.StdEncoding.EncodeToString([]byte("???"[:cut] + word))
			out[name+", in base64"+strconv.Itoa(cut)] = encoded[4*((cut+2)/3) : len(encoded)-4]
		}
		out[name+", in UTF-16"] = strings.Join(strings.Split(word, ""), "\x00")
		out[name+", one by one"] = strings.Join(strings.Split(word, ""), "\n")
		out[name+", as a list"] = strings.Join(strings.Split(word, ""), ",")
	}
	n, err := strconv.Atoi(v.number)
	if err != nil {
		panic(err)
	}
	born, err := time.Parse(time.DateOnly, v.date)
	if err != nil {
		panic(err)
	}
	days := int(born.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Hours() / 24)
	for i := 1; i <= 8; i++ {
		out["binary int"+strconv.Itoa(i)] = string(binary.BigEndian.AppendUint32(nil, uint32(n+i)))
		out["binary float"+strconv.Itoa(i)] = string(binary.BigEndian.AppendUint64(nil, math.Float64bits(float64(n)+.5+float64(i))))
		out["binary date"+strconv.Itoa(i)] = string(binary.BigEndian.AppendUint32(nil, uint32(int32(days+i))))
	}
	raw, err := hex.DecodeString(v.tag8)
	if err != nil {
		panic(err)
	}
	out["binary token"] = string(raw)
	return out
}

// found names the masked values that are in what came back. Letters count
// whatever their case.
func (v values) found(got []byte) (out []string) {
	folded := bytes.ToLower(got)
	for name, form := range v.forms() {
		if bytes.Contains(got, []byte(form)) || strings.IndexFunc(form, func(r rune) bool { return r < ' ' || r > '~' }) < 0 &&
			bytes.Contains(folded, []byte(strings.ToLower(form))) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// TestCanariesAreFound shows that the search says yes.
func TestCanariesAreFound(t *testing.T) {
	v := twins[0].values
	for name, text := range map[string]string{
		"as it is": "1|zqKwyjibo1vault@xKwyjibo.test", "lower case": "zqkwyjibo1vault", "upper case": "ZQKWYJIBO", "hex": hex.EncodeToString([]byte("a zqKwyjibo1vault")),
		"base64": base64.StdEncoding.EncodeToString([]byte("a zqKwyjibo1vault")), "base64 of another offset": base64.StdEncoding.EncodeToString([]byte("zqKwyjibo1vault")),
		"base64 of the third offset": base64.StdEncoding.EncodeToString([]byte(" zqKwyjibo1vault")), "reversed": "tluav1obijywKqz",
		"number": "73519265", "binary number": "\x00\x04\x61\xd3\xeb\x21"[0:2] + string(binary.BigEndian.AppendUint32(nil, 73519265)),
		"letters in rows": "K\nw\ny\nj\ni\nb\no", "letters in an array": "{K,w,y,j,i,b,o}",
	} {
		if len(v.found([]byte(text))) == 0 {
			t.Errorf("%s: not found in %q", name, text)
		}
	}
	if got := v.found([]byte("[masked]|reader1@example.com|topic1")); len(got) > 0 {
		t.Errorf("found where there is none: %v", got)
	}
}
