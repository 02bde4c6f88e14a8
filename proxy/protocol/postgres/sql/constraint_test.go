// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

const heldSchema = `
CREATE TABLE a (id int PRIMARY KEY, name text, email text UNIQUE, card text, region text, pay int CHECK (pay > 0), level int,
  UNIQUE (region, card), CHECK (pay > level), ratio int GENERATED ALWAYS AS (pay / nullif(level, 0)) STORED);
CREATE INDEX ON a ((pay / nullif(id, 0)));
CREATE TABLE b (id int PRIMARY KEY, email text REFERENCES a (email), note text);
CREATE TABLE c (id int PRIMARY KEY, a_id int REFERENCES a, b_id int REFERENCES b ON DELETE CASCADE, note text);
CREATE TABLE d (id int PRIMARY KEY, owner int, note text);
CREATE TABLE e (id int PRIMARY KEY, d_id int REFERENCES d, note text);
CREATE TABLE f (code text, day int, note text, EXCLUDE USING btree (code WITH =) WHERE (day > 0));
CREATE TABLE p (code text, region text, note text) PARTITION BY RANGE (region, code);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('a', 'a') TO ('m', 'm');
CREATE TABLE x (id int, code text, level int);
CREATE UNIQUE INDEX ON x (lower(code)) WHERE level > 1;
CREATE TABLE n (id int, pay int, note text);
ALTER TABLE n ADD CHECK (pay > 0) NOT VALID;
CREATE VIEW va AS SELECT id, name AS called, email AS mail, region AS place FROM a;
CREATE TABLE alone (id int PRIMARY KEY, note text);`

// heldMasks are the masked columns by relation.
var heldMasks = map[string][]string{
	"a": {"email", "card", "pay"}, "e": {"d_id"}, "f": {"code"}, "p": {"code"}, "x": {"code"}, "n": {"pay"},
}

func heldMaskSet(c *catalog.Catalog, predicates bool) *sql.MaskSet {
	return sql.NewMaskSet(c, func(oid uint32) []sql.MaskedColumn {
		r, ok := c.Relation(oid)
		if !ok || r.Schema != "public" {
			return nil
		}
		out := maskedColumns(heldMasks[r.Name]...)
		for i := range out {
			out[i].Predicates = predicates
		}
		return out
	})
}

// TestChecklist18Constraints: where masks deny predicates, no error of a constraint
// tells of masked values.
func TestChecklist18Constraints(t *testing.T) {
	t.Parallel()
	cat := database(t, "held", heldSchema)
	deny, allow := heldMaskSet(cat, false), heldMaskSet(cat, true)
	for text, want := range map[string]bool{
		// Unique keys.
		"INSERT INTO a (id, name) VALUES (1, 'x')":                                                   true,
		"INSERT INTO a (id, email) VALUES (1, 'x')":                                                  false,
		"INSERT INTO a (id, email) VALUES (1, DEFAULT)":                                              true,
		"INSERT INTO a (id, email) VALUES (1, DEFAULT), (2, 'x')":                                    false,
		"INSERT INTO a VALUES (1, 'x')":                                                              true,
		"INSERT INTO a VALUES (1, 'x', 'y')":                                                         false,
		"INSERT INTO a DEFAULT VALUES":                                                               true,
		"INSERT INTO a SELECT id, note FROM alone":                                                   true,
		"INSERT INTO a SELECT id, note, note FROM alone":                                             false,
		"INSERT INTO a SELECT * FROM alone, pg_temp.t":                                               false,
		"INSERT INTO a (id, region) VALUES (1, 'x')":                                                 true,
		"INSERT INTO a (id, pay) VALUES (1, 5)":                                                      true,
		"INSERT INTO a (id, region, card) VALUES (1, 'x', 'y')":                                      false,
		"UPDATE a SET name = 'x' WHERE id = 1":                                                       true,
		"UPDATE a SET email = 'x' WHERE id = 1":                                                      false,
		"UPDATE a SET region = 'x' WHERE id = 1":                                                     false,
		"UPDATE a SET (name, region) = ('x', 'y') WHERE id = 1":                                      false,
		"INSERT INTO a (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = 'x'":                    true,
		"INSERT INTO a (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET email = 'x'":                   false,
		"COPY a (id, name) FROM STDIN":                                                               true,
		"COPY a (id, email) FROM STDIN":                                                              false,
		"COPY a FROM STDIN":                                                                          false,
		"MERGE INTO a USING alone s ON a.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)":  true,
		"MERGE INTO a USING alone s ON a.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'x')":  true,
		"MERGE INTO a USING alone s ON a.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (1,'x', 'y')": false,
		"MERGE INTO a USING alone s ON a.id = s.id WHEN MATCHED THEN UPDATE SET email = 'x'":         false,
		"MERGE INTO a USING alone s ON a.id = s.id WHEN MATCHED THEN UPDATE SET name = 'x'":          true,
		"MERGE INTO a USING alone s ON a.id = s.id WHEN MATCHED THEN DELETE":                         false,
		"WITH w AS (INSERT INTO a (id, email) VALUES (1, 'x')) SELECT 1":                             false,
		"PREPARE q AS INSERT INTO a (id, email) VALUES ($1, $2)":                                     false,
		"EXPLAIN ANALYZE INSERT INTO a (id, email) VALUES (1, 'x')":                                  false,
		"INSERT INTO f (code, day) VALUES ('x', 1)":                                                  false,
		"INSERT INTO f (day) VALUES (1)":                                                             true,
		"UPDATE f SET day = 1":                                                                       false,
		"UPDATE f SET note = 'x'":                                                                    true,
		"INSERT INTO x (id, code) VALUES (1, 'x')":                                                   false,
		"UPDATE x SET level = 2":                                                                     false,
		"UPDATE x SET id = 2":                                                                        true,
		// CHECK, generated columns, expressions of indexes, partitions.
		"UPDATE a SET level = 3 WHERE id = 1":          false,
		"UPDATE a SET id = 3 WHERE id = 1":             false,
		"UPDATE a SET pay = 3 WHERE id = 1":            true,
		"UPDATE a SET pay = 3, level = 2 WHERE id = 1": true,
		"UPDATE n SET note = 'x'":                      false,
		"UPDATE n SET note = 'x', pay = 1":             true,
		"INSERT INTO n VALUES (1, 2, 'x')":             true,
		"UPDATE p SET region = 'b'":                    false,
		"UPDATE p SET note = 'b'":                      true,
		"UPDATE p SET region = 'b', code = 'c'":        true,
		"UPDATE p1 SET region = 'b'":                   false,
		"INSERT INTO p VALUES ('b', 'c', 'd')":         true,
		// Foreign keys.
		"INSERT INTO b (id, note) VALUES (1, 'x')":  true,
		"INSERT INTO b (id, email) VALUES (1, 'x')": false,
		"INSERT INTO b VALUES (1, 'x')":             false,
		"UPDATE b SET email = 'x'":                  false,
		"UPDATE b SET note = 'x'":                   true,
		"COPY b FROM STDIN":                         false,
		"DELETE FROM a WHERE id = 1":                false,
		"DELETE FROM b WHERE id = 1":                true,
		"INSERT INTO c VALUES (1, 2, 3)":            true,
		"UPDATE c SET a_id = 3":                     true,
		"DELETE FROM c":                             true,
		"DELETE FROM d WHERE id = 1":                false,
		"UPDATE d SET id = 2 WHERE id = 1":          false,
		"UPDATE d SET note = 'x' WHERE id = 1":      true,
		"INSERT INTO d VALUES (1, 2, 'x')":          true,
		"INSERT INTO e VALUES (1, 2, 'x')":          true,
		"UPDATE e SET d_id = 2":                     true,
		"DELETE FROM e":                             true,
		"DELETE FROM alone":                         true,
		// Views.
		"UPDATE va SET called = 'x' WHERE id = 1":     false,
		"UPDATE va SET mail = 'x' WHERE id = 1":       false,
		"INSERT INTO va (id, called) VALUES (1, 'x')": true,
		"INSERT INTO va (id, mail) VALUES (1, 'x')":   false,
	} {
		opt := options()
		opt.TempRelations = func(name string) bool { return name == "t" }
		all, err := sql.Analyze(text, cat, opt)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		_, err = all[0].Disclose(deny)
		var refusal *sql.Error
		if want != (err == nil) || err != nil && (!errors.As(err, &refusal) || !strings.Contains(refusal.Hint, "Leave the column")) {
			t.Errorf("%q: predicates denied: got %v, want it to pass: %v", text, err, want)
		}
		if _, err = all[0].Disclose(allow); err != nil {
			t.Errorf("%q: predicates allowed: %v", text, err)
		}
	}
}
