// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestTemplates: a template that could run without end, grow without bound or let texts of
// others out of their quotes is refused before anything is sent.
func TestTemplates(t *testing.T) {
	deep := strings.Repeat("{{ if .Event }}", 900) + strings.Repeat("{{ end }}", 900)
	cases := map[string]struct {
		reason, template, contentType string
		want                          string // part of the error; empty for none
	}{
		"None":        {"the message itself", "", "", ""},
		"Text":        {"a field", `{"text": {{ .Text | json }}}`, "", ""},
		"Call":        {"json as a call", `{"text": {{ json .Text }}, "n": {{ json .Minimum }}}`, "", ""},
		"Composed":    {"texts put together", `{"text": {{ print "a " .Text | truncate 20 | json }}}`, "", ""},
		"List":        {"a list, with commas", `[{{ range $i, $rule := .Rules }}{{ if $i }},{{ end }}{{ json $rule }}{{ end }}]`, "", ""},
		"Whole":       {"a list as it is", `{"rules": {{ .Rules | json }}}`, "", ""},
		"Condition":   {"comparisons", `{"urgent": {{ if and (eq .Event "Requested") (gt .Minimum 1) }}true{{ else }}false{{ end }}}`, "", ""},
		"Plain":       {"other types have no quotes to break", "{{ .Event }}: {{ .Text }}", "text/plain", ""},
		"PlainNone":   {"JSON would be sent as what it is not", "", "text/plain", "needs a template"},
		"Quotes":      {"a text could end the quotes, and begin another field", `{"text": "{{ .Text }}"}`, "", "must end in json"},
		"Number":      {"one rule for all", `{"n": {{ .Minimum }}}`, "", "must end in json"},
		"Early":       {"json is last", `{"text": {{ .Text | json | truncate 5 }}}`, "", "must end in json"},
		"NoJSON":      {"the receiver would refuse it, each time", `{"text": {{ .Text | json }}`, "", "no JSON"},
		"NoJSONLater": {"in a branch that not every event takes", `{"a": 1{{ if eq .Event "Revoked" }},{{ end }}}`, "", "no JSON"},
		"Syntax":      {"a typo", `{"text": {{ .Text }`, "", "template"},
		"Field":       {"checklist 40: a typo", `{"text": {{ .Reasn | json }}}`, "", `no field "Reasn"`},
		"FieldHidden": {"a typo in a branch that is not taken", `{ {{ if eq .Event "Never" }}{{ .Reasn | json }}{{ end }} }`, "", `no field "Reasn"`},
		"FieldOf":     {"texts have no fields", `{"text": {{ .Text.Foo | json }}}`, "", "no field"},
		"Printf":      {"a width makes any size", `{"text": {{ printf "%1000000d" 1 | json }}}`, "", `no function "printf"`},
		"HTML":        {"there is markup for that", `{"text": {{ .Text | html | json }}}`, "", `no function "html"`},
		"Index":       {"not needed", `{"text": {{ index .Rules 0 | json }}}`, "", `no function "index"`},
		"Numbers":     {"a range over a number runs as long as it says", `[{{ range 1000000000 }}{{ end }}]`, "", "range goes over"},
		"Seconds":     {"a field that is a number", `[{{ range .DurationSeconds }}{{ end }}]`, "", "range goes over"},
		"Nested":      {"nested ranges multiply", `[{{ range .Rules }}{{ range $.Rules }}{{ end }}{{ end }}]`, "", "range goes over"},
		"Define":      {"templates could call each other", `{{ define "a" }}{{ template "a" }}{{ end }}{}`, "", "not to be used"},
		"Template":    {"or themselves", `{{ template "template" }}`, "", "not to be used"},
		"Variable":    {"a text could be doubled again and again", `{{ $a := .Text }}{}`, "", "variables"},
		"Assign":      {"the same in a range", `[{{ range $a, $b := .Rules }}{{ $b = print $b $b }}{{ end }}]`, "", "variables"},
		"IfVariable":  {"the same in a condition", `{ {{ if $a := .Text }}{{ end }} }`, "", "variables"},
		"Nesting":     {"each json doubles quotes and backslashes", `{"text": {{ .Text | ` + strings.Repeat("json | ", 60) + `json }}}`, "", "bytes"},
		"Repeated":    {"a long text many times", `[{{ json .Statement }}` + strings.Repeat(",{{ json .Statement }}", 60) + `]`, "", "bytes"},
		"Deep":        {"as deep as its length allows", "{ " + deep + " }", "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := newNotice(&v1alpha1.NotifierSpec{Template: c.template, ContentType: c.contentType, Markup: v1alpha1.MarkupPlain})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want an error that says %q", c.reason, err, c.want)
			}
		})
	}
}

func TestTruncate(t *testing.T) {
	cases := map[string]struct {
		reason string
		limit  int
		text   string
		want   string
	}{
		"Fits":   {"nothing is cut", 3, "abc", "abc"},
		"Cut":    {"the mark is one of the characters", 3, "abcd", "ab…"},
		"Runes":  {"characters, not bytes", 3, "äöüß", "äö…"},
		"Entity": {"half an entity would be shown as text", 6, "ab&amp;cd", "ab…"},
		"Whole":  {"a whole entity stays", 9, "ab&amp;cdef", "ab&amp;c…"},
		"Escape": {"a backslash would escape what follows", 4, `ab\[cd`, "ab…"},
	}
	for name, c := range cases {
		if got, err := truncate(c.limit, c.text); err != nil || got != c.want {
			t.Errorf("%s: %s: %q, %v, want %q", name, c.reason, got, err, c.want)
		}
	}
	if _, err := truncate(0, "a"); err == nil {
		t.Error("no characters at all were taken for a limit")
	}
}

// sampled reads the Notifier of a sample.
func sampled(t *testing.T, file string) *v1alpha1.Notifier {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "samples", file))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n---\n")
	n := &v1alpha1.Notifier{}
	if err := yaml.UnmarshalStrict([]byte(first), n); err != nil {
		t.Fatal(err)
	}
	return n
}

// slackMessage is what an incoming webhook of Slack takes, as far as the sample uses it
// (docs.slack.dev, "Sending messages using incoming webhooks", "Blocks").
type slackMessage struct {
	Text        string `json:"text"`
	UnfurlLinks *bool  `json:"unfurl_links"`
	UnfurlMedia *bool  `json:"unfurl_media"`
	Blocks      []struct {
		Type     string     `json:"type"`
		Text     *slackText `json:"text"`
		Elements []slackText
	} `json:"blocks"`
}

type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim"`
}

func strict(t *testing.T, body []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
}

// each makes a notification of every event and example.
func each(t *testing.T, n *v1alpha1.Notifier, check func(m *Message, body []byte)) {
	t.Helper()
	notice, err := newNotice(&n.Spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range occasions {
		for _, r := range examples() {
			m := newMessage(r, o.event, time.Unix(0, 0), n.Spec.Markup)
			body, err := notice.execute(m)
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"\x1b", "\u202e", "\\u001b", "\\u202e", "evil.example|Approve>", "<!channel>", "\x00"} {
				if n.Spec.Markup == v1alpha1.MarkupSlack && strings.Contains(string(body), bad) ||
					!strings.ContainsAny(bad, "<|") && strings.Contains(string(body), bad) {
					t.Errorf("%s: %q is in %s", o.event, bad, body)
				}
			}
			if strings.Contains(string(body), "http") && o.event == v1alpha1.NotifyRequested && !strings.Contains(string(body), m.Digest) {
				t.Errorf("no digest in %s", body)
			}
			check(m, body)
		}
	}
}

// TestSlackSample: Slack takes it, nobody is called, and no link is named.
func TestSlackSample(t *testing.T) {
	each(t, sampled(t, "notifier_slack.yaml"), func(m *Message, body []byte) {
		var got slackMessage
		strict(t, body, &got)
		if got.Text == "" || len(got.Text) > 4000 || len(got.Blocks) == 0 || len(got.Blocks) > 50 || got.UnfurlLinks == nil || *got.UnfurlLinks {
			t.Errorf("Slack would not take it so: %s", body)
		}
		for _, b := range got.Blocks {
			texts := b.Elements
			if b.Text != nil {
				texts = append(texts, *b.Text)
			}
			if b.Type != "section" && b.Type != "context" || len(texts) == 0 {
				t.Errorf("no block of Slack: %+v", b)
			}
			for _, text := range texts {
				if text.Type != "mrkdwn" || len(text.Text) > 3000 || strings.ContainsAny(text.Text, "<>") || strings.Count(text.Text, "`")%6 != 0 {
					t.Errorf("no text of Slack, or markup of others in it: %q", text.Text)
				}
			}
		}
		if commanded := strings.Contains(string(body), "kubectl doorward approve --namespace shop orders-db-x7k2p --digest sha256:"); commanded != (m.Event == "Requested") {
			t.Errorf("%s: the command is there: %t", m.Event, commanded)
		}
	})
}

// TestTeamsSample: a workflow of Teams takes it, and texts of others are in runs of text
// only, which show no markup.
func TestTeamsSample(t *testing.T) {
	type element struct {
		Type, Text, Weight, FontType string
		Wrap                         bool
		Inlines                      []element
	}
	each(t, sampled(t, "notifier_teams.yaml"), func(_ *Message, body []byte) {
		var got struct {
			Type        string
			Attachments []struct {
				ContentType string
				ContentURL  *string `json:"contentUrl"`
				Content     struct {
					Schema  string `json:"$schema"`
					Type    string
					Version string
					Body    []element
				}
			}
		}
		strict(t, body, &got)
		if got.Type != "message" || len(got.Attachments) != 1 || got.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" ||
			got.Attachments[0].Content.Type != "AdaptiveCard" || len(got.Attachments[0].Content.Body) == 0 || len(body) > 28<<10 {
			t.Fatalf("Teams would not take it so: %s", body)
		}
		for _, e := range got.Attachments[0].Content.Body {
			switch {
			case e.Type == "TextBlock" && !strings.Contains(e.Text, "evil") && !strings.ContainsAny(e.Text, "<*_`("):
			case e.Type == "RichTextBlock" && len(e.Inlines) > 0:
				for _, run := range e.Inlines {
					if run.Type != "TextRun" || run.Text == "" {
						t.Errorf("no run of text: %+v", run)
					}
				}
			default:
				t.Errorf("texts of others where markup is shown: %+v", e)
			}
		}
	})
}

// TestJSONSample: all fields, under the names that are documented.
func TestJSONSample(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations", "notifications.md"))
	if err != nil {
		t.Fatal(err)
	}
	each(t, sampled(t, "notifier_json.yaml"), func(m *Message, body []byte) {
		var got Message
		strict(t, body, &got)
		var fields map[string]any
		if err := json.Unmarshal(body, &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			if !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("field %q is not documented", name)
			}
		}
		if got.ID != m.ID || got.Digest == "" || len(body) > 16<<10 {
			t.Errorf("%s", body)
		}
	})
}
