// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/kafka"
)

func TestNew(t *testing.T) {
	brokers := []string{"kafka.example.org:9093"}
	for name, tc := range map[string]struct {
		reason  string
		options kafka.Options
		// want is part of the error; empty for none.
		want string
	}{
		"Least":         {reason: "brokers and topic are enough", options: kafka.Options{Brokers: brokers, Topic: topic}},
		"ScramInClear":  {reason: "SCRAM sends no password", options: kafka.Options{Brokers: brokers, Topic: topic, TLS: inTheClear, SASL: kafka.ScramSHA512, Username: "u", Password: []byte("p")}},
		"PlainInClear":  {reason: "a password is never sent in the clear", options: kafka.Options{Brokers: brokers, Topic: topic, TLS: inTheClear, SASL: kafka.Plain, Username: "u", Password: []byte("p")}, want: "in the clear"},
		"PlainOverTLS":  {reason: "TLS hides it", options: kafka.Options{Brokers: brokers, Topic: topic, SASL: kafka.Plain, Username: "u", Password: []byte("p")}},
		"NoBrokers":     {reason: "there is no standard broker", options: kafka.Options{Topic: topic}, want: "no brokers"},
		"NoPort":        {reason: "the port is no matter of guessing", options: kafka.Options{Brokers: []string{"kafka"}, Topic: topic}, want: `"kafka"`},
		"NoTopic":       {reason: "no topic, no place", options: kafka.Options{Brokers: brokers}, want: `topic ""`},
		"Topic":         {reason: "brokers refuse such a name", options: kafka.Options{Brokers: brokers, Topic: "a/b"}, want: `"a/b"`},
		"Mechanism":     {reason: "an unknown one is no reason to send none", options: kafka.Options{Brokers: brokers, Topic: topic, SASL: "plain", Username: "u", Password: []byte("p")}, want: `"plain"`},
		"NoMechanism":   {reason: "a user name alone proves nothing", options: kafka.Options{Brokers: brokers, Topic: topic, Username: "u"}, want: "without SASL"},
		"NoPassword":    {reason: "a mechanism needs both", options: kafka.Options{Brokers: brokers, Topic: topic, SASL: kafka.ScramSHA256, Username: "u"}, want: "needs a user name and a password"},
		"Compression":   {reason: "a typo is an error", options: kafka.Options{Brokers: brokers, Topic: topic, Compression: "zip"}, want: `"zip"`},
		"NoCertificate": {reason: "a bundle without certificates trusts nobody", options: kafka.Options{Brokers: brokers, Topic: topic, TLS: sink.TLS{CA: "x"}}, want: "no PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := kafka.New(tc.options)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("New: %v, want %q: %s", err, tc.want, tc.reason)
			}
		})
	}
}

// TestOptionsPrinted is checklist 47: no verb prints what is secret.
func TestOptionsPrinted(t *testing.T) {
	o := kafka.Options{Username: "u", Password: []byte("canary"), TLS: sink.TLS{Key: []byte("canary")}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		text := fmt.Sprintf(verb+verb, o, &o)
		if strings.Contains(text, "canary") || strings.Contains(text, "63616e617279") || strings.Contains(text, "99 97 110") {
			t.Errorf("%s: %s", verb, text)
		}
	}
}
