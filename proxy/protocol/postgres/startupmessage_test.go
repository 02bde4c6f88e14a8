// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func packet(parameters ...string) []byte {
	b := binary.BigEndian.AppendUint32(nil, 3<<16)
	for _, p := range parameters {
		b = append(append(b, p...), 0)
	}
	return append(b, 0)
}

// TestStartupOfClients: what common clients say at the start gets them in, and
// reaches the target as they meant it.
func TestStartupOfClients(t *testing.T) {
	for name, tc := range map[string]struct {
		say  []string
		want map[string]string
	}{
		"psql":          {say: []string{"user", "alice", "database", "shop", "application_name", "psql", "client_encoding", "UTF8"}},
		"libpq, PG*":    {say: []string{"user", "alice", "database", "shop", "datestyle", "ISO", "timezone", "UTC", "geqo", "off"}, want: map[string]string{"datestyle": "ISO", "timezone": "UTC", "geqo": "off"}},
		"PGOPTIONS":     {say: []string{"user", "alice", "options", "-c statement_timeout=5s"}, want: map[string]string{"statement_timeout": "5s"}},
		"pg_regress":    {say: []string{"user", "alice", "options", "-c intervalstyle=postgres_verbose -c client_min_messages=warning"}, want: map[string]string{"intervalstyle": "postgres_verbose", "client_min_messages": "warning"}},
		"pgjdbc":        {say: []string{"user", "alice", "database", "shop", "client_encoding", "UTF8", "DateStyle", "ISO", "TimeZone", "Europe/Berlin", "extra_float_digits", "2", "application_name", "PostgreSQL JDBC Driver", "search_path", "app,public"}, want: map[string]string{"datestyle": "ISO", "timezone": "Europe/Berlin", "extra_float_digits": "2", "search_path": "app,public"}},
		"npgsql":        {say: []string{"user", "alice", "client_encoding", "UTF8", "database", "shop", "application_name", "x", "search_path", "app", "TimeZone", "UTC", "options", ""}, want: map[string]string{"search_path": "app", "timezone": "UTC"}},
		"lib/pq":        {say: []string{"client_encoding", "UTF8", "datestyle", "ISO, MDY", "extra_float_digits", "2", "user", "alice", "database", "shop"}, want: map[string]string{"datestyle": "ISO, MDY", "extra_float_digits": "2"}},
		"asyncpg":       {say: []string{"client_encoding", "'utf-8'", "user", "alice", "database", "shop", "jit", "off"}, want: map[string]string{"jit": "off"}},
		"node-postgres": {say: []string{"user", "alice", "database", "shop", "client_encoding", "UTF8", "statement_timeout", "0", "lock_timeout", "100", "idle_in_transaction_session_timeout", "1000"}, want: map[string]string{"statement_timeout": "0", "lock_timeout": "100", "idle_in_transaction_session_timeout": "1000"}},
		"JDBC pools":    {say: []string{"user", "alice", "options", "-c default_transaction_read_only=on -c standard_conforming_strings=on"}, want: map[string]string{"default_transaction_read_only": "on"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parseStartup(packet(tc.say...))
			if err != nil {
				t.Fatal(err)
			}
			if tc.want == nil {
				tc.want = map[string]string{}
			}
			if diff := cmp.Diff(tc.want, s.passed); diff != "" {
				t.Errorf("passed on (-want +got):\n%s", diff)
			}
		})
	}
}

// TestStartupOptions is checklist 15: options are read as the server reads them
// (one that reads them otherwise lets through what the server then does).
func TestStartupOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		options string
		more    []string
		want    map[string]string
		code    string
	}{
		"apart":              {options: "-c jit=off", want: map[string]string{"jit": "off"}},
		"together":           {options: "-cjit=off", want: map[string]string{"jit": "off"}},
		"long":               {options: "--jit=off", want: map[string]string{"jit": "off"}},
		"dashes in a name":   {options: "--statement-timeout=5s -c lock-timeout=1s", want: map[string]string{"statement_timeout": "5s", "lock_timeout": "1s"}},
		"space in a value":   {options: `-c datestyle=ISO,\ DMY`, want: map[string]string{"datestyle": "ISO, DMY"}},
		"backslash":          {options: `-c search_path=a\\b`, want: map[string]string{"search_path": `a\b`}},
		"white space":        {options: " \t\n -c\t jit=off \v", want: map[string]string{"jit": "off"}},
		"last one counts":    {options: "-c jit=off -c jit=on", want: map[string]string{"jit": "on"}},
		"own parameter wins": {options: "-c jit=off", more: []string{"jit", "on"}, want: map[string]string{"jit": "on"}},
		"equals in a value":  {options: "-c search_path=a=b", want: map[string]string{"search_path": "a=b"}},
		"empty":              {options: "  "},
		"hidden by another":  {options: "-c role=postgres", more: []string{"role", "x"}, code: stateFeatureNotSupported},
		"refused, hidden":    {options: "-c client_min_messages=debug5", more: []string{"client_min_messages", "notice"}, code: stateInvalidParameter},
		"no value":           {options: "-c jit", code: stateFeatureNotSupported},
		"no name":            {options: "-c =x", code: stateFeatureNotSupported},
		"nothing follows":    {options: "-c", code: stateFeatureNotSupported},
		"only dashes":        {options: "--", code: stateFeatureNotSupported},
		"a word":             {options: "jit=off", code: stateFeatureNotSupported},
		"no joins":           {options: "-fm", code: stateFeatureNotSupported},
		"system tables":      {options: "-O", code: stateFeatureNotSupported},
		"after a good one":   {options: "-c jit=off -O", code: stateFeatureNotSupported},
		"escaped":            {options: `\-O`, code: stateFeatureNotSupported},
		"role":               {options: "-c role=postgres", code: stateFeatureNotSupported},
		"replication":        {options: "-c replication=true", code: stateFeatureNotSupported},
		"user":               {options: "-c user=postgres", code: stateFeatureNotSupported},
		"triggers off":       {options: "-c session_replication_role=replica", code: stateFeatureNotSupported},
		"libraries":          {options: "-c local_preload_libraries=x -c session_preload_libraries=y", code: stateFeatureNotSupported},
		"escapes":            {options: "-c standard_conforming_strings=off", code: stateInvalidParameter},
		"encoding":           {options: "-c client_encoding=SJIS", code: stateInvalidParameter},
		"read-write":         {options: "-c default_transaction_read_only=off", code: stateInvalidParameter},
		"row security":       {options: "-c row_security=off", code: stateFeatureNotSupported},
		"an extension's":     {options: "-c my.setting=1", code: stateFeatureNotSupported},
		"control characters": {options: "-c timezone=a\x01", code: stateInvalidParameter},
		"very long":          {options: "-c search_path=" + strings.Repeat("a", maxParameter+1), code: stateInvalidParameter},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parseStartup(packet(append([]string{"user", "alice", "options", tc.options}, tc.more...)...))
			var rejected *rejection
			if errors.As(err, &rejected) && rejected.refusal.Code == tc.code {
				return
			}
			if err != nil || tc.code != "" {
				t.Fatalf("options %q: %v, want %q", tc.options, err, tc.code)
			}
			if tc.want == nil {
				tc.want = map[string]string{}
			}
			if diff := cmp.Diff(tc.want, s.passed); diff != "" {
				t.Errorf("passed on (-want +got):\n%s", diff)
			}
		})
	}
}
