// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/doorward/doorward/api/v1alpha1"
)

// Variables of libpq that say where to go, or how what is said there is protected. Those
// of the user are for other servers.
var postgresOwn = []string{
	"PGHOST", "PGPORT", "PGSERVICE", "PGPASS", "PGSSL", "PGREQUIRE", "PGCHANNELBINDING", "PGGSS", "PGKRB", "PGTARGETSESSIONATTRS",
	"PGLOADBALANCEHOSTS", "PGOAUTH", "PGREALM", "PGMINPROTOCOL", "PGMAXPROTOCOL", "PGUSER",
}

func postgresCommand(s *session, _ string, args, inherited []string) (*command, error) {
	environment, err := postgresEnvironment(s, inherited)
	return &command{args: args, environment: environment}, err
}

// postgresEnvironment hands psql the token and the way in its environment, which other
// users of the machine cannot read, unlike its arguments.
func postgresEnvironment(s *session, inherited []string) ([]string, error) {
	environment := make([]string, 0, len(inherited)+10)
	options, database := "", ""
	for _, variable := range inherited {
		name, value, _ := strings.Cut(variable, "=")
		switch name {
		case "PGOPTIONS":
			options = value
			continue
		case "PGDATABASE":
			database = value
			continue
		}
		own := false
		for _, prefix := range postgresOwn {
			own = own || strings.HasPrefix(name, prefix)
		}
		if !own {
			environment = append(environment, variable)
		}
	}
	known, err := postgresOptions(s.options)
	if err != nil {
		return nil, err
	}
	if database == "" && len(known.Databases) > 0 {
		database = known.Databases[0]
	}
	// The proxy offers a client that says nothing what the Connection says.
	if known.Authentication == "OAuth" {
		options = strings.TrimSpace(options + " -c doorward.authentication=password")
	}
	host, port, err := net.SplitHostPort(s.endpoint)
	if err != nil {
		return nil, fmt.Errorf("not an endpoint: %q: %w", s.endpoint, err)
	}
	add := func(name, value string) {
		if value != "" {
			environment = append(environment, name+"="+value)
		}
	}
	add("PGHOST", host)
	if s.dial != s.endpoint {
		// The certificate is held against PGHOST all the same.
		var address string
		if address, port, err = net.SplitHostPort(s.dial); err != nil {
			return nil, fmt.Errorf("not an address: %q: %w", s.dial, err)
		}
		add("PGHOSTADDR", address)
	}
	add("PGPORT", port)
	add("PGUSER", s.user)
	add("PGDATABASE", database)
	add("PGOPTIONS", options)
	add("PGPASSWORD", s.token)
	add("PGSSLMODE", "verify-full")
	add("PGSSLROOTCERT", s.caFile)
	add("PGGSSENCMODE", "disable")
	return environment, nil
}

// knownOptions are those of a Connection that its clients have to know.
type knownOptions struct {
	Databases      []string `json:"databases"`
	Authentication string   `json:"authentication"`
}

func postgresOptions(raw []byte) (*knownOptions, error) {
	known := &knownOptions{}
	if len(raw) == 0 {
		return known, nil
	}
	if err := json.Unmarshal(raw, known); err != nil {
		return nil, fmt.Errorf("cannot read spec.options of the Connection: %w", err)
	}
	return known, nil
}

// postgresTyped says how to reach a local port.
func postgresTyped(s *session, at net.Addr, folder, password string) ([]string, error) {
	known, err := postgresOptions(s.options)
	if err != nil {
		return nil, err
	}
	user, database := cmp.Or(s.user, "me"), ""
	if len(known.Databases) > 0 {
		database = known.Databases[0]
	}
	host, port := folder, "5432"
	address := &url.URL{Scheme: "postgresql", User: url.UserPassword(user, password), Path: "/" + database, RawQuery: "sslmode=disable"}
	if folder == "" {
		host, port, _ = net.SplitHostPort(at.String())
		address.Host = at.String()
	} else {
		address.RawQuery = url.Values{"host": {folder}}.Encode()
	}
	return []string{
		"host      " + host, "port      " + port, "database  " + database, "user      " + user, "password  " + password,
		"SSL       off: the connection stays on this machine",
		"URL       " + address.String(),
	}, nil
}

func rawOptions(c *v1alpha1.Connection) []byte {
	if c.Spec.Options == nil {
		return nil
	}
	return c.Spec.Options.Raw
}
