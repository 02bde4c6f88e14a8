// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
)

// lines is an exporter that writes each request as one line of OTLP's JSON, and
// returns when the file has it, so that what the receiver acknowledged outlives
// the collector.
type lines struct {
	path string

	mu   sync.Mutex // one line after the other
	file *os.File
}

type linesConfig struct {
	Path string `mapstructure:"path"`
}

func newLines() exporter.Factory {
	create := func(_ context.Context, _ exporter.Settings, config component.Config) (exporter.Logs, error) {
		c, ok := config.(*linesConfig)
		if !ok || c.Path == "" {
			return nil, errors.New("exporter lines not usable: it needs a path")
		}
		return &lines{path: c.Path}, nil
	}
	return exporter.NewFactory(component.MustNewType("lines"),
		func() component.Config { return &linesConfig{} },
		exporter.WithLogs(create, component.StabilityLevelDevelopment))
}

// Start opens the file, and ends a line that an earlier collector broke off.
func (l *lines) Start(context.Context, component.Host) (err error) {
	if l.file, err = os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return fmt.Errorf("exporter lines not usable: %w", err)
	}
	_, err = l.file.Write([]byte{'\n'})
	return err
}

func (l *lines) Shutdown(context.Context) error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

func (*lines) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (l *lines) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	line, err := (&plog.JSONMarshaler{}).MarshalLogs(logs)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.file.Write(append(line, '\n'))
	return err
}
