// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/doorward/doorward/proxy/snapshot"
)

// token is a secret that knows how to hide.
type token []byte

func (token) String() string { return "[redacted]" }

func TestJSON(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		log    func(*Config, *bytes.Buffer)
		want   map[string]any
	}{
		"Info": {
			reason: "an object is an object with namespace and name",
			log: func(c *Config, out *bytes.Buffer) {
				c.Logger(out).WithName("connection").Info("Published", "Connection", klog.KRef("data", "shop"), "revision", 7)
			},
			want: map[string]any{
				"level": "info", "msg": "Published", "logger": "connection", "revision": 7.0,
				"Connection": map[string]any{"namespace": "data", "name": "shop"},
			},
		},
		"Error": {
			reason: "an error is err",
			log: func(c *Config, out *bytes.Buffer) {
				c.Logger(out).Error(errors.New("boom"), "Cannot publish")
			},
			want: map[string]any{"level": "error", "msg": "Cannot publish", "err": "boom"},
		},
		"V": {
			reason: "what is verbose says so",
			log:    func(c *Config, out *bytes.Buffer) { c.Logger(out).V(2).Info("Asked") },
			want:   map[string]any{"level": "info", "v": 2.0, "msg": "Asked"},
		},
		"Quiet": {
			reason: "what is more verbose than was asked for is not written",
			log:    func(c *Config, out *bytes.Buffer) { c.Logger(out).V(3).Info("Asked") },
		},
		"klog": {
			reason: "what client-go says goes the same way",
			log: func(c *Config, out *bytes.Buffer) {
				if err := c.Route(c.Logger(out)); err != nil {
					panic(err)
				}
				klog.V(3).InfoS("Not asked for")
				klog.V(2).InfoS("Watch closed", "pod", klog.KObj(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "b"}}))
				klog.ClearLogger()
			},
			want: map[string]any{"level": "info", "v": 2.0, "msg": "Watch closed", "pod": map[string]any{"name": "a", "namespace": "b"}},
		},
		"Redacted": {
			reason: "checklist 47: a type that hides itself stays hidden",
			log: func(c *Config, out *bytes.Buffer) {
				key, err := snapshot.NewMaskKey(bytes.Repeat([]byte("k"), snapshot.MaskKeySize))
				if err != nil {
					panic(err)
				}
				c.Logger(out).Info("Secret", "token", token("canary"), "key", key)
			},
			want: map[string]any{"level": "info", "msg": "Secret", "token": "[redacted]", "key": "[redacted]"},
		},
		"Newline": {
			reason: "checklist 48: what callers choose cannot begin a line",
			log: func(c *Config, out *bytes.Buffer) {
				c.Logger(out).Info("Refused", "user", "a\n{\"level\":\"info\"}\x1b[2J")
			},
			want: map[string]any{"level": "info", "msg": "Refused", "user": "a\n{\"level\":\"info\"}\x1b[2J"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			tc.log(&Config{Format: JSON, Verbosity: 2}, &out)
			if tc.want == nil {
				if out.Len() > 0 {
					t.Errorf("%s: %s", tc.reason, out.String())
				}
				return
			}
			if lines := strings.Count(out.String(), "\n"); lines != 1 {
				t.Fatalf("%s: %d lines: %s", tc.reason, lines, out.String())
			}
			if strings.ContainsRune(out.String(), 0x1b) {
				t.Errorf("%s: an escape went through: %q", tc.reason, out.String())
			}
			var got map[string]any
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatalf("%s: %v: %s", tc.reason, err, out.String())
			}
			at, _ := got["ts"].(string)
			if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
				t.Errorf("%s: no time in %s", tc.reason, out.String())
			}
			delete(got, "ts")
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	c := &Config{Format: Text, Verbosity: 1}
	c.Logger(&out).V(1).Info("Published", "Connection", klog.KRef("data", "shop"), "token", token("canary"))
	c.Logger(&out).V(2).Info("Not asked for")
	if got := out.String(); !strings.HasPrefix(got, "I") || !strings.Contains(got, `"Published" Connection="data/shop" token="[redacted]"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("text is %q", got)
	}
}

func TestFlags(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		args   []string
		want   Config
		fails  bool
	}{
		"None":    {reason: "a command that is told nothing speaks to collectors", want: Config{Format: JSON}},
		"Text":    {reason: "people may have it otherwise", args: []string{"--log-format=text", "-v=4"}, want: Config{Format: Text, Verbosity: 4}},
		"Unknown": {reason: "a misspelt form is refused", args: []string{"--log-format=yaml"}, fails: true},
		"Above":   {reason: "checklist 47: more would show Secrets", args: []string{"-v=8"}, fails: true},
		"Below":   {reason: "less than nothing is refused", args: []string{"-v=-1"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			c, flags := New(), flag.NewFlagSet("x", flag.ContinueOnError)
			flags.SetOutput(io.Discard)
			c.AddFlags(flags)
			err := flags.Parse(tc.args)
			if (err != nil) != tc.fails {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, *c); diff != "" && !tc.fails {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
