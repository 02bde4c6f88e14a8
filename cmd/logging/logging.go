// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package logging is what commands say of themselves: one logger for the
// command, controller-runtime and client-go, in one of two forms. JSON is for
// collectors, with the keys of Kubernetes' own structured logs (ts, msg, v,
// err, logger; component-base/logs/json) and a level; text is klog's form, for
// people. Where the format is of no concern, what is logged is: the
// conventions are those of
// https://github.com/kubernetes/community/blob/main/contributors/devel/sig-instrumentation/logging.md.
package logging

import (
	"encoding"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
)

// The formats.
const (
	JSON = "json"
	Text = "text"
)

// Config is what the command line says of logs.
type Config struct {
	// Format is JSON or Text.
	Format string
	// Verbosity is the highest V that is written, from 0 to MaxVerbosity.
	Verbosity int
}

// MaxVerbosity is as much as may be said: from 8 on, client-go writes what the API
// server is sent and answers, Secrets and tokens too (client-go, rest/request.go,
// logBody).
const MaxVerbosity = 7

// New is the configuration of a command that is told nothing.
func New() *Config { return &Config{Format: JSON} }

// AddFlags adds --log-format and -v.
func (c *Config) AddFlags(flags *flag.FlagSet) {
	flags.Func("log-format", "`form` of the command's own messages, which go to standard error: json or text (default json)", func(value string) error {
		if value != JSON && value != Text {
			return fmt.Errorf("want %s or %s", JSON, Text)
		}
		c.Format = value
		return nil
	})
	flags.Func("v", fmt.Sprintf("`verbosity` of the command's own messages, from 0 (default 0) to %d", MaxVerbosity), func(value string) error {
		v, err := strconv.Atoi(value)
		if err != nil || v < 0 || v > MaxVerbosity {
			return fmt.Errorf("want a number from 0 to %d; above, messages would hold the Secrets that are read", MaxVerbosity)
		}
		c.Verbosity = v
		return nil
	})
}

// Logger makes the logger.
func (c *Config) Logger(out io.Writer) logr.Logger {
	out = plain{out}
	if c.Format == Text {
		return textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(out), textlogger.Verbosity(c.Verbosity)))
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(out, &slog.HandlerOptions{
		Level: slog.Level(-c.Verbosity), ReplaceAttr: kubernetes,
	}))
}

// Route has what client-go and the like log through klog go to the logger too.
func (c *Config) Route(logger logr.Logger) error {
	var flags flag.FlagSet
	klog.InitFlags(&flags)
	// klog asks its own flag whether a message is to be made.
	if err := flags.Set("v", strconv.Itoa(c.Verbosity)); err != nil {
		return fmt.Errorf("cannot set klog's verbosity: %w", err)
	}
	klog.SetLogger(logger)
	return nil
}

// kubernetes renames slog's keys, and writes the level as a level with its V.
func kubernetes(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 {
		switch a.Key {
		case slog.TimeKey:
			if at := a.Value; at.Kind() == slog.KindTime {
				return slog.String("ts", at.Time().UTC().Format(time.RFC3339Nano))
			}
		case slog.LevelKey:
			if level, ok := a.Value.Any().(slog.Level); ok {
				return levelOf(level)
			}
		}
	}
	if a.Value.Kind() == slog.KindAny {
		return slog.Attr{Key: a.Key, Value: shown(a.Value.Any())}
	}
	return a
}

// levelOf is "error", or "info" with the V where that is not 0.
func levelOf(level slog.Level) slog.Attr {
	if level >= slog.LevelError {
		return slog.String("level", "error")
	}
	if level >= slog.LevelInfo {
		return slog.String("level", "info")
	}
	// The attributes of a group without a name stand by themselves.
	return slog.Attr{Value: slog.GroupValue(slog.String("level", "info"), slog.Int("v", int(-level)))}
}

// shown writes what says how it wants to be shown as it says: encoding/json
// asks for fewer ways than there are, and a type whose String is "[redacted]"
// must not be spelt out.
func shown(value any) slog.Value {
	switch v := value.(type) {
	case error, json.Marshaler, encoding.TextMarshaler:
		return slog.AnyValue(v)
	case fmt.Stringer:
		return slog.StringValue(v.String())
	}
	return slog.AnyValue(value)
}
