// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// corpus makes texts with what is sensitive in marks, as testdata/hard.txt has
// them. It is the same at every run.
type corpus struct {
	*rand.Rand
}

const perDetector = 300

// all makes perDetector texts for each detector and as many of each shape that
// is not sensitive.
func (c corpus) all() []string {
	positives := map[Detector]func() string{
		Email: c.email, PaymentCard: c.card, IBAN: c.iban, Phone: c.phone, SSN: c.ssn,
		JWT: c.jwt, CloudKey: c.cloudKey, PrivateKey: c.privateKey, IPAddress: c.ip,
	}
	var lines []string
	for _, d := range Detectors() {
		for range perDetector {
			lines = append(lines, c.within("[["+string(d)+":"+positives[d]()+"]]"))
		}
	}
	for _, negative := range c.negatives() {
		for range perDetector {
			lines = append(lines, c.within(negative()))
		}
	}
	return lines
}

// within puts a text into a place as found in columns, logs and documents.
func (c corpus) within(text string) string {
	places := []string{"%s", "%s", "value: %s.", "x=%s;y", `{"v":"%s"}`, "(%s)", "2026-11-22 06:10:28 INFO got %s from it", "%s,%s", "id 17 | %s | open", "<td>%s</td>", "'%s'", "a\t%s\tb"}
	place := c.pick(places...)
	if strings.Count(place, "%s") == 2 {
		return fmt.Sprintf(place, text, text)
	}
	return fmt.Sprintf(place, text)
}

func (c corpus) pick(list ...string) string { return list[c.IntN(len(list))] }

func (c corpus) run(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[c.IntN(len(alphabet))]
	}
	return string(b)
}

func (c corpus) number(n int) string { return c.run("123456789", 1) + c.run(decimal, n-1) }

func (c corpus) email() string {
	local := c.pick("alice", "bob.smith", "c.d+news", "first_last", "x"+c.number(4), "o'hara", c.run(lower, 1+c.IntN(12)))
	return local + c.pick("@", "@", "@", "@", "@", "@", "@", "@", "@", "%40") + c.run(lower, 2+c.IntN(10)) + c.pick(".com", ".org", ".co.uk", ".example", ".mail.example.net", "-corp.de", ".xn--p1ai", ".museum")
}

func (c corpus) card() string {
	form := c.pick("4 16", "4 13", "51 16", "2221 16", "55 16", "34 15", "37 15", "36 14", "6011 16", "65 16", "3530 16", "62 16", "62 19", "2202 16", "6761 16")
	prefix, text, _ := strings.Cut(form, " ")
	length, _ := strconv.Atoi(text)
	number := []byte(prefix + c.run(decimal, length-len(prefix)))
	for !luhn(number) {
		last := &number[len(number)-1]
		*last = '0' + (*last-'0'+1)%10
	}
	sep := c.pick("", "", "", " ", " ", "-")
	sizes := []int{4, 4, 4, 4, 4}
	switch length {
	case 15:
		sizes = []int{4, 6, 5}
	case 14:
		sizes = []int{4, 6, 4}
	}
	return grouped(string(number), sep, sizes...)
}

// grouped puts separators into a text after as many characters as sizes say.
func grouped(text, separator string, sizes ...int) string {
	var parts []string
	for _, size := range sizes {
		size = min(size, len(text))
		if size == 0 {
			break
		}
		parts, text = append(parts, text[:size]), text[size:]
	}
	return strings.Join(append(parts, text)[:len(parts)+min(1, len(text))], separator)
}

func (c corpus) iban() string {
	form := c.pick("DE n18", "GB a4n14", "FR n10c11n2", "NL a4n10", "ES n20", "IT a1n10c12", "CH n5c12", "PL n24", "SE n20", "NO n11", "BE n12", "AT n16", "MT a4n5c18", "PT n21", "TR n5n1c16", "SA n2c18")
	country, structure, _ := strings.Cut(form, " ")
	body := ""
	for structure != "" {
		end := 1
		for end < len(structure) && structure[end] >= '0' && structure[end] <= '9' {
			end++
		}
		n, _ := strconv.Atoi(structure[1:end])
		body += c.run(map[byte]string{'n': decimal, 'a': upper, 'c': upper + decimal}[structure[0]], n)
		structure = structure[end:]
	}
	check := 98 - mod97([]byte(body), []byte(country), []byte("00"))
	text := fmt.Sprintf("%s%02d%s", country, check, body)
	return grouped(text, c.pick("", "", " ", " ", "-"), 4, 4, 4, 4, 4, 4, 4, 4, 4)
}

func (c corpus) phone() string {
	area, exchange := c.run("23456789", 1)+c.run(decimal, 2), c.run("23456789", 1)+c.run(decimal, 2)
	line := c.run(decimal, 4)
	return c.pick(
		"+1"+area+exchange+line, "+1 "+area+" "+exchange+" "+line, "+1-"+area+"-"+exchange+"-"+line, "+1 ("+area+") "+exchange+"-"+line,
		"("+area+") "+exchange+"-"+line, area+"-"+exchange+"-"+line, area+"."+exchange+"."+line, area+" "+exchange+" "+line, "1-"+area+"-"+exchange+"-"+line,
		"+49 30 "+c.number(7), "+49 (0)30 "+c.number(7), "+4930"+c.number(7), "+44 20 "+c.number(4)+" "+c.number(4), "+33 6 "+grouped(c.number(8), " ", 2, 2, 2, 2),
		"+86 138 "+c.number(4)+" "+c.number(4), "+41 44 "+c.number(3)+" "+c.number(2)+" "+c.number(2), "0049 30 "+c.number(7),
		"030 "+c.number(7), "030/"+c.number(7), "0171 "+c.number(7), "(0171) "+c.number(7), "020 "+c.number(4)+" "+c.number(4), "06 "+grouped(c.number(8), " ", 2, 2, 2, 2), "01.23."+grouped(c.number(6), ".", 2, 2, 2),
		area+exchange+line, "0171"+c.number(7), exchange+"-"+line,
	)
}

func (c corpus) ssn() string {
	text := fmt.Sprintf("%03d%02d%04d", 1+c.IntN(665), 1+c.IntN(99), 1+c.IntN(9999))
	return grouped(text, c.pick("-", "-", "-", "-", "-", "-", " ", " ", " ", ""), 3, 2, 4)
}

func (c corpus) jwt() string {
	header := c.pick(`{"alg":"HS256","typ":"JWT"}`, `{"typ":"JWT","alg":"RS256","kid":"`+c.run(lower, 8)+`"}`, `{"alg":"none"}`, `{"kid":"1","alg":"ES384"}`)
	body := fmt.Sprintf(`{"sub":%q,"exp":%s,"scope":%q}`, c.run(lower, 8), c.number(10), c.run(lower+" ", c.IntN(200)))
	return encode(header) + "." + encode(body) + "." + c.run(upper+lower+decimal+"-_", 43)
}

func (c corpus) cloudKey() string {
	plain := upper + lower + decimal
	return c.pick(
		"AKIA"+c.run(upper+"234567", 16), "ASIA"+c.run(upper+"234567", 16), "AIza"+c.run(plain+"-_", 35), "ghp_"+c.run(plain, 36), "ghs_"+c.run(plain, 36),
		"github_pat_"+c.run(plain, 22)+"_"+c.run(plain, 59), "glpat-"+c.run(plain, 20), "xoxb-"+c.number(12)+"-"+c.number(13)+"-"+c.run(plain, 24),
		"sk_live_"+c.run(plain, 24), "rk_live_"+c.run(plain, 24), "hooks.slack.com/services/T"+c.run(upper, 8)+"/B"+c.run(upper, 8)+"/"+c.run(plain, 24),
		"GOCSPX-"+c.run(plain, 28), "whsec_"+c.run(plain, 32), c.run(plain+"/+", 40),
	)
}

func (c corpus) privateKey() string {
	kind := c.pick("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", "DSA ")
	text := base64.StdEncoding.EncodeToString([]byte(c.run(upper+lower+decimal, 100+c.IntN(1500))))
	end := c.pick("\n", "\n", "\r\n", `\n`)
	var lines strings.Builder
	for text != "" {
		size := min(64, len(text))
		lines.WriteString(text[:size] + end)
		text = text[size:]
	}
	return "-----BEGIN " + kind + "PRIVATE KEY-----" + end + lines.String() + "-----END " + kind + "PRIVATE KEY-----"
}

func (c corpus) ip() string {
	switch c.IntN(4) {
	case 0:
		return fmt.Sprintf("2001:db8:%x:%x::%d", c.IntN(65536), c.IntN(65536), c.IntN(99)+1)
	case 1:
		return fmt.Sprintf("2001:0db8:%04x:%04x:%04x:%04x:%04x:%04x", c.IntN(65536), c.IntN(65536), c.IntN(65536), c.IntN(65536), c.IntN(65536), c.IntN(65536))
	default:
		return fmt.Sprintf("%d.%d.%d.%d", 1+c.IntN(223), c.IntN(256), c.IntN(256), c.IntN(256))
	}
}

// negatives are shapes that are nobody's secret.
func (c corpus) negatives() []func() string {
	hexRun := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(c.IntN(256))
		}
		return hex.EncodeToString(b)
	}
	return []func() string{
		func() string { return c.pick("ORD-", "", "#", "INV", "PO ") + c.number(6+c.IntN(13)) }, // order numbers
		func() string { return c.number(16) },
		func() string { return c.number(4) + "-" + c.number(4) + "-" + c.number(4) + "-" + c.number(4) },
		func() string {
			return fmt.Sprintf("20%02d-%02d-%02d %02d:%02d:%02d.%06d+%02d:00", c.IntN(30), 1+c.IntN(12), 1+c.IntN(28), c.IntN(24), c.IntN(60), c.IntN(60), c.IntN(1e6), c.IntN(12))
		},
		func() string { return fmt.Sprintf("%02d.%02d.20%02d", 1+c.IntN(28), 1+c.IntN(12), c.IntN(30)) },
		func() string {
			return strconv.Itoa(1_600_000_000+c.IntN(200_000_000)) + c.pick("", "000", "123456", "123456789")
		},
		func() string {
			return fmt.Sprintf("%s%d.%d.%d%s", c.pick("v", "", "go"), c.IntN(30), c.IntN(30), c.IntN(30), c.pick("", "-rc1", "+build.5"))
		},
		func() string { return fmt.Sprintf("%d.%d.%d.%d", c.IntN(20), c.IntN(20), c.IntN(20), c.IntN(3000)) }, // versions of four parts
		func() string { return hexRun(20) }, // git
		func() string { return hexRun(4)[:7] },
		func() string { return hexRun(32) },
		func() string {
			return grouped(hexRun(16), "-", 8, 4, 4, 4, 12) // UUID
		},
		func() string { return fmt.Sprintf("%s%d.%02d", c.pick("EUR ", "$", "€"), c.IntN(1e6), c.IntN(100)) },
		func() string {
			return fmt.Sprintf("%d,%03d,%03d.%02d", 1+c.IntN(900), c.IntN(1000), c.IntN(1000), c.IntN(100))
		},
		func() string { return grouped(hexRun(6), ":", 2, 2, 2, 2, 2, 2) }, // MAC
		func() string { return base64.StdEncoding.EncodeToString([]byte(c.run(lower, 30))) },
		func() string {
			return fmt.Sprintf(`GET /v1/items/%d?page=%d HTTP/1.1" %d %d "-" "agent/1.%d"`, c.IntN(1e6), c.IntN(99), 200+c.IntN(300), c.IntN(1e5), c.IntN(9))
		},
		func() string {
			return fmt.Sprintf("%s:%d: goroutine %d +0x%x", c.pick("main.go", "db/row.go"), c.IntN(999), c.IntN(999), c.IntN(1<<20))
		},
		func() string { return c.number(9) },
		func() string { return c.number(10) },
		func() string { return c.run(upper, 2) + c.number(10+c.IntN(12)) }, // part numbers
		func() string { return c.number(3) + "-" + c.number(2) + "-" + c.number(3) },
		func() string { return fmt.Sprintf("%.12f", c.Float64()*1000) },
		func() string { return c.number(13) }, // EAN
		func() string {
			return "@" + c.run(lower, 8) + " #" + c.run(lower, 5) + " " + c.run(lower, 4) + "@" + c.run(lower, 4)
		},
		func() string {
			return c.pick("the quick brown fox", "SELECT a::int FROM b", "std::map<int>", "Größe: 42 m²", "e-mail us", "call 911 now")
		},
	}
}
