// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(make([]byte, ed25519.PublicKeySize))
	good := []string{"--connection=data/shop", "--listen=data/shop=:5432", "--snapshot-key=" + key, "--spool=/var/spool"}
	cases := map[string]struct {
		reason string
		args   []string
		want   string // part of the error
	}{
		"Good":              {reason: "all there is", args: good},
		"Nothing":           {reason: "a key is needed", want: "--snapshot-key"},
		"NoConnection":      {reason: "nothing to serve", args: good[2:], want: "--connection"},
		"NoListen":          {reason: "nowhere to listen", args: append(good[2:4:4], good[0]), want: "--listen=data/shop"},
		"ListenForAnother":  {reason: "a typo must not pass", args: append(good[:4:4], "--listen=data/shpo=:1"), want: "data/shpo"},
		"ListenTwice":       {reason: "which of two counts is not guessed", args: append(good[:4:4], "--listen=data/shop=:2"), want: "twice"},
		"ReviewForAnother":  {reason: "a typo must not pass", args: append(good[:4:4], "--review-address=data/shpo=:1"), want: "data/shpo"},
		"ReviewNoAddress":   {reason: "it is one Connection's", args: append(good[:4:4], "--review-address=:8444"), want: "namespace/name=host:port"},
		"ReviewTwice":       {reason: "which of two counts is not guessed", args: append(good[:4:4], "--review-address=data/shop=:1", "--review-address=data/shop=:2"), want: "twice"},
		"Review":            {reason: "a port for questions", args: append(good[:4:4], "--review-address=data/shop=:8444")},
		"RecordingsAnother": {reason: "a typo must not pass", args: append(good[:4:4], "--recordings-address=data/shpo=:1"), want: "data/shpo"},
		"RecordingsTwice":   {reason: "which of two counts is not guessed", args: append(good[:4:4], "--recordings-address=data/shop=:1", "--recordings-address=data/shop=:2"), want: "twice"},
		"RecordingsNowhere": {reason: "it is one Connection's", args: append(good[:4:4], "--recordings-address=:8447"), want: "namespace/name=host:port"},
		"Recordings":        {reason: "a port for recordings", args: append(good[:4:4], "--recordings-address=data/shop=:8447")},
		"ByNameAnother":     {reason: "a typo must not pass", args: append(good[:4:4], "--by-name=data/shpo"), want: "data/shpo"},
		"ByNameNoNamespace": {reason: "a name alone may be that of several", args: append(good[:4:4], "--by-name=shop"), want: "namespace/name"},
		"ByName":            {reason: "a Connection to be named", args: append(good[:4:4], "--by-name=data/shop")},
		"Twice":             {reason: "the same twice", args: append(good[:4:4], good[0]), want: "twice"},
		"NoSpool":           {reason: "no place for the log", args: good[:3], want: "--spool"},
		"BadKey":            {reason: "a key of the wrong size", args: append(good[:2:2], "--snapshot-key=AAAA", "--spool=/x"), want: "--snapshot-key"},
		"BadInstance":       {reason: "it is a ConfigMap's key", args: append(good[:4:4], "--instance=a/b"), want: "--instance"},
		"RelativeDirectory": {reason: "relative to what", args: append(good[:4:4], "--credential-dir=x"), want: "absolute"},
		"SharedDirectory": {
			reason: "one directory is one Connection's", want: "one --connection",
			args: append(good[:4:4], "--connection=data/b", "--listen=data/b=:2", "--credential-dir=/x"),
		},
		"Drain": {reason: "time does not go back", args: append(good[:4:4], "--shutdown-delay=-1s"), want: "--shutdown-delay"},
		"Advertise": {
			reason: "a name could lead anywhere", want: "--advertise-address",
			args: append(good[:4:4], "--advertise-address=localhost"),
		},
		"Argument": {reason: "a forgotten dash", args: append(good[:4:4], "spool"), want: "unexpected"},
		"Unknown":  {reason: "an unknown flag", args: []string{"--nope"}, want: "nope"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := parse(c.args, io.Discard)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("parse(%q) = %v, want %q: %s", c.args, err, c.want, c.reason)
			}
		})
	}
	if _, err := parse([]string{"--nope"}, io.Discard); !errors.Is(err, errUsage) {
		t.Errorf("an unknown flag: %v, want %v", err, errUsage)
	}
	if o, err := parse([]string{"--version"}, io.Discard); err != nil || !o.version {
		t.Errorf("--version: %+v, %v", o, err)
	}
	for _, c := range []struct{ extra, want string }{{"", ":8081"}, {"--kubeconfig=/k", "127.0.0.1:8081"}, {"--health-address=:1", ":1"}} {
		args := good
		if c.extra != "" {
			args = slices.Concat(good, []string{c.extra})
		}
		if o, err := parse(args, io.Discard); err != nil || o.healthAddress != c.want {
			t.Errorf("health address with %q: %q, %v, want %q", c.extra, o.healthAddress, err, c.want)
		}
	}
}
