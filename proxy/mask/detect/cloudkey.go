// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package detect

// token is a secret that says what it is: a prefix, then a run of bytes.
type token struct {
	prefix   string
	set      *charset
	min, max int
}

// keyword is what stands before a secret that has no form of its own, in lower
// case; the secret follows after an equals sign, a colon, quotes or blanks.
type keyword struct {
	word     string
	set      *charset
	min, max int
}

var (
	upperDigits = charsOf(upper, decimal)
	plain       = charsOf(upper, lower, decimal)
	slackBytes  = charsOf(upper, lower, decimal, "-")
	slackPath   = charsOf(upper, lower, decimal, "/")
	percent64   = charsOf(upper, lower, decimal, "+/%=")
	between     = charsOf(" \t:=>\"'\\")
)

// tokens are by their first byte, keywords by theirs in lower case.
var (
	tokens   = byFirst(allTokens, func(t token) byte { return t.prefix[0] })
	keywords = byFirst(allKeywords, func(k keyword) byte { return k.word[0] })
)

// cloudSecond are the second bytes by the first one of all tokens and keywords.
var cloudSecond = func() (table [256]*charset) {
	add := func(first, second byte) {
		if table[first] == nil {
			table[first] = &charset{}
		}
		table[first][second] = true
	}
	for _, t := range allTokens {
		add(t.prefix[0], t.prefix[1])
	}
	for _, k := range allKeywords {
		for _, first := range []byte{k.word[0], k.word[0] &^ 0x20} {
			add(first, k.word[1])
			add(first, k.word[1]&^0x20)
		}
	}
	return table
}()

func byFirst[T any](all []T, first func(T) byte) (table [256][]T) {
	for _, entry := range all {
		table[first(entry)] = append(table[first(entry)], entry)
	}
	return table
}

var allTokens = []token{
	// AWS access key ids, of users and of sessions.
	{"AKIA", upperDigits, 16, 16},
	{"ASIA", upperDigits, 16, 16},
	// Google Cloud: API keys, client secrets, access tokens.
	{"AIza", base64url, 35, 35},
	{"GOCSPX-", base64url, 28, 28},
	{"ya29.", base64url, 20, 2048},
	// GitHub.
	{"ghp_", plain, 36, 255},
	{"gho_", plain, 36, 255},
	{"ghu_", plain, 36, 255},
	{"ghs_", plain, 36, 255},
	{"ghr_", plain, 36, 255},
	{"github_pat_", word, 36, 255},
	// GitLab.
	{"glpat-", base64url, 20, 300},
	{"gldt-", base64url, 20, 300},
	{"glrt-", base64url, 20, 300},
	{"glptt-", base64url, 20, 300},
	{"glcbt-", base64url, 20, 300},
	{"glft-", base64url, 20, 300},
	{"glsoat-", base64url, 20, 300},
	{"glagent-", base64url, 20, 300},
	// Slack.
	{"xoxb-", slackBytes, 20, 255},
	{"xoxp-", slackBytes, 20, 255},
	{"xoxa-", slackBytes, 20, 255},
	{"xoxr-", slackBytes, 20, 255},
	{"xoxs-", slackBytes, 20, 255},
	{"xoxe-", slackBytes, 20, 255},
	{"xapp-", slackBytes, 20, 255},
	{"hooks.slack.com/services/", slackPath, 30, 100},
	// Stripe.
	{"sk_live_", plain, 16, 255},
	{"sk_test_", plain, 16, 255},
	{"rk_live_", plain, 16, 255},
	{"rk_test_", plain, 16, 255},
	{"whsec_", base64std, 24, 255},
}

var allKeywords = []keyword{
	// AWS.
	{"aws_secret_access_key", base64std, 40, 40},
	{"aws_secret_key", base64std, 40, 40},
	{"secretaccesskey", base64std, 40, 40},
	{"secret_access_key", base64std, 40, 40},
	{"aws_session_token", base64std, 100, 4096},
	{"sessiontoken", base64std, 100, 4096},
	// Azure: storage account keys, the signatures of shared access.
	{"accountkey", base64std, 88, 88},
	{"sharedaccesskey", base64std, 44, 44},
	{"sig", percent64, 43, 100},
	// Google Cloud: what names the key of a service account. The key itself is
	// taken below.
	{"private_key_id", hexDigits, 40, 40},
}

// maxBetween bounds what stands between a keyword and its secret.
const maxBetween = 8

// cloudKey checks for the secrets of cloud providers and of services for
// developers.
func cloudKey(v view, i int) (m match, verdict verdict) {
	c := v.v[i]
	for j := range tokens[c] {
		t := &tokens[c][j]
		if verdict = v.follows(i, t.prefix, false); verdict == more {
			return m, more
		} else if verdict == no {
			continue
		}
		if m, verdict = secret(v, i, i+len(t.prefix), t.min, t.max, t.set); verdict != no {
			return m, verdict
		}
	}
	for j := range keywords[c|0x20] {
		k := &keywords[c|0x20][j]
		if verdict = v.follows(i, k.word, true); verdict == no {
			continue
		}
		at, verdict := v.gap(i+len(k.word), verdict)
		if verdict == more {
			return m, more
		} else if verdict == no {
			continue
		}
		if m, verdict = secret(v, at, at, k.min, k.max, k.set); verdict != no {
			return m, verdict
		}
	}
	if c == 'p' {
		return serviceAccount(v, i)
	}
	return m, no
}

// gap skips what stands between a keyword and its secret. It passes on what the
// keyword came to.
func (v view) gap(i int, keyword verdict) (at int, verdict verdict) {
	if keyword != yes {
		return i, keyword
	}
	at, verdict = v.run(i, maxBetween, between)
	if verdict == yes && (at == i || at == len(v.v)) {
		return at, v.endedAt(at)
	}
	return at, verdict
}

// endedAt is no, or more where the text may go on there.
func (v view) endedAt(i int) verdict {
	if i == len(v.v) {
		return v.ended()
	}
	return no
}

// secret checks a run of bytes from at on, which must be from min to max long and
// not go on as a word. The finding begins at start.
func secret(v view, start, at, low, high int, set *charset) (m match, verdict verdict) {
	end, verdict := v.run(at, high+1, set)
	if verdict == more {
		return m, more
	}
	if end-at < low || end-at > high {
		return m, no
	}
	if verdict = v.boundary(end); verdict != yes {
		return m, verdict
	}
	return match{start: start, end: end, detector: iCloudKey}, yes
}

// serviceAccount checks for the key in the JSON file of a service account.
func serviceAccount(v view, i int) (m match, verdict verdict) {
	verdict = v.follows(i, "private_key", false)
	at, verdict := v.gap(i+len("private_key"), verdict)
	if verdict != yes {
		return m, verdict
	}
	if at == len(v.v) || v.v[at] != '-' {
		return m, no
	}
	m, verdict = pem(v, at)
	m.detector = iCloudKey
	return m, verdict
}
