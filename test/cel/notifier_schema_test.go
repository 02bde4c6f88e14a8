// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import "testing"

// What a Notifier may say. checklist 38: every string and list is bounded.
func TestNotifierSchema(t *testing.T) {
	selectors := func(n int) []any { return repeat(n, "name", map[string]any{"name": "a"}) }
	tryCreate(t, "notifier_json.yaml", map[string]schemaCase{
		"Sample":          {reason: "the sample is valid"},
		"SecretOnly":      {reason: "the URL is in the Secret", changes: edits{"spec.url": absent{}}},
		"URLOnly":         {reason: "nothing is secret", changes: edits{"spec.secret": absent{}}},
		"NoURL":           {reason: "there is nobody to tell", changes: edits{"spec.url": absent{}, "spec.secret": absent{}}, want: "url is required, or secret"},
		"Clear":           {reason: "clear text is asked for in words", changes: edits{"spec.url": "http://a.example/"}, want: "url must begin with https://"},
		"ClearAsked":      {reason: "it is", changes: edits{"spec.url": "http://a.example/", "spec.tls": map[string]any{"mode": "Disabled"}}},
		"Contradiction":   {reason: "which is meant is not guessed", changes: edits{"spec.tls": map[string]any{"mode": "Disabled"}}, want: "url must begin with https://"},
		"User":            {reason: "credentials belong into the Secret", changes: edits{"spec.url": "https://u:p@a.example/"}, want: "credentials belong into the secret"},
		"Fragment":        {reason: "no server sees it", changes: edits{"spec.url": "https://a.example/#x"}, want: "without user and fragment"},
		"Scheme":          {reason: "HTTP", changes: edits{"spec.url": "ftp://a.example/"}, want: "http or https"},
		"URLLong":         {reason: "bounded", changes: edits{"spec.url": "https://a.example/" + longText(2048)}, want: "Too long"},
		"SecretElsewhere": {reason: "checklist 41: in the operator's namespace only", changes: edits{"spec.secret.name": "kube-system/token"}, want: "without a namespace"},
		"SecretAuthority": {reason: "checklist 41: the key of the authority goes nowhere", changes: edits{"spec.secret.name": "doorward-ca"}, want: "the manager's own Secrets"},
		"NoEvents":        {reason: "nothing to tell", changes: edits{"spec.events": []any{}}, want: "spec.events"},
		"Event":           {reason: "checklist 40: a typo", changes: edits{"spec.events": []any{"Aproved"}}, want: "Unsupported value"},
		"EventTwice":      {reason: "a set", changes: edits{"spec.events": []any{"Denied", "Denied"}}, want: "Duplicate"},
		"NoNamespaces":    {reason: "all are asked for in words", changes: edits{"spec.namespaces": absent{}}, want: "spec.namespaces"},
		"NoConnections":   {reason: "all are asked for in words", changes: edits{"spec.connections": []any{}}, want: "spec.connections"},
		"SelectorBoth":    {reason: "one of them", changes: edits{"spec.namespaces": []any{map[string]any{"name": "a", "matchLabels": map[string]any{"a": "b"}}}}, want: "spec.namespaces"},
		"ManySelectors":   {reason: "bounded", changes: edits{"spec.connections": selectors(65)}, want: "spec.connections"},
		"NoMarkup":        {reason: "what is harmless depends on it", changes: edits{"spec.markup": absent{}}, want: "spec.markup"},
		"Markup":          {reason: "one that is known", changes: edits{"spec.markup": "BBCode"}, want: "Unsupported value"},
		"Template":        {reason: "an object", changes: edits{"spec.template": " {\"text\": {{ .Text | json }}}"}},
		"TemplateList":    {reason: "a list", changes: edits{"spec.template": "[{{ .Text | json }}]"}},
		"TemplateText":    {reason: "JSON is an object or a list", changes: edits{"spec.template": "Hello {{ .Text }}"}, want: "template must make JSON"},
		"TemplatePlain":   {reason: "text, where that is said", changes: edits{"spec.template": "Hello {{ .Text }}", "spec.contentType": "text/plain"}},
		"TemplateLong":    {reason: "bounded", changes: edits{"spec.template": "{" + longText(16384)}, want: "Too long"},
		"ContentType":     {reason: "no parameters, no other header", changes: edits{"spec.contentType": "text/plain\r\nX-A: b"}, want: "spec.contentType"},
		"NameLong":        {reason: "requests keep the name", changes: edits{"metadata.name": longText(64)}, want: "at most 63 characters"},
	})
}
