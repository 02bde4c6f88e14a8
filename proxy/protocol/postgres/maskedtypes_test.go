// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/doorward/doorward/proxy/policy"
)

// TestMaskedTypes: by every method and in both formats, a masked value is of its
// type and the same, or NULL; it is never what it was (checklist 18).
func TestMaskedTypes(t *testing.T) {
	// What a method leaves besides NULL, by its first letter: R N K H D.
	types := []struct{ name, value, leaves string }{
		{"text", "'ann 4711 and more'", "RKHD"},
		{"varchar(40)", "'ann 4711 and more'", "RKHD"},
		{"char(20)", "'ann 4711 and more'", "RKHD"},
		{"name", "'ann 4711 and more'", "RKHD"},
		{"json", `'{"a": 4711}'`, "RKHD"},
		{"jsonb", `'{"a": 4711}'`, "RKHD"},
		{"int2", "4711", "HD"},
		{"int4", "471100", "HD"},
		{"int8", "4711000000000", "HD"},
		{"numeric", "4711.0815", "HD"},
		{"uuid", "'5ee0b1f6-5ee0-4ee0-8ee0-5ee0b1f65ee0'", "HD"},
		{"float4", "47.5", ""},
		{"float8", "47.25", ""},
		{"date", "'1980-01-02'", ""},
		{"time", "'10:11:12'", ""},
		{"timestamp", "'1980-01-02 10:11:12'", ""},
		{"timestamptz", "'1980-01-02 10:11:12+00'", ""},
		{"interval", "'3 days'", ""},
		{"bytea", `'\x4711'`, ""},
		{"bool", "true", ""},
		{"inet", "'10.1.2.3'", ""},
		{"xml", "'<a>4711</a>'", ""},
		{"point", "'(4,7)'", ""},
		{"text[]", "'{ann,4711}'", ""},
		{"int4[]", "'{4711}'", ""},
		{"int4range", "'[1,4711)'", ""},
		{"oid", "4711", ""},
		{"money", "47.11", ""},
		{`"char"`, "'x'", ""},
		{"public.mood", "'happy'", ""},
		{"public.pair", "'(4,7)'", ""},
		{"public.mail", "'ann 4711 and more'", "RKHD"},
		{"public.count", "471100", "HD"},
		{"public.list", "'{4711}'", ""},
	}
	direct, err := pgx.Connect(deadline(t), server.DSN(service, canary, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	drop := "DROP TABLE IF EXISTS public.typed; DROP TYPE IF EXISTS public.mood, public.pair; DROP DOMAIN IF EXISTS public.address, public.mail, public.count, public.list"
	t.Cleanup(func() {
		_, _ = direct.Exec(t.Context(), drop)
		_ = direct.Close(t.Context())
	})
	var columns, values []string
	for i, typ := range types {
		columns = append(columns, fmt.Sprintf("c%d %s", i, typ.name))
		values = append(values, typ.value)
	}
	if _, err := direct.Exec(deadline(t), drop+`;
		CREATE TYPE public.mood AS ENUM ('happy', 'sad'); CREATE TYPE public.pair AS (a int, b int);
		CREATE DOMAIN public.address AS text; CREATE DOMAIN public.mail AS public.address; CREATE DOMAIN public.count AS int; CREATE DOMAIN public.list AS int[];
		CREATE TABLE public.typed (`+strings.Join(columns, ", ")+"); INSERT INTO public.typed VALUES ("+strings.Join(values, ", ")+")"); err != nil {
		t.Fatal(err)
	}
	for _, method := range []policy.Method{{Type: policy.Redact}, {Type: policy.Null}, {Type: policy.KeepLast, KeepLast: 3}, {Type: policy.Hash}, {Type: policy.Digits}} {
		t.Run(method.Type, func(t *testing.T) {
			r, s := road(t)
			r.Engine.Set(nil, policy.Mask{Policy: "p", Name: "m", Fields: []string{"public.typed.*"}, Method: method})
			r.Apply(t)
			conn := client(t, r, s)
			for i, typ := range types {
				text := fmt.Sprintf("SELECT c%d FROM public.typed", i)
				var raw [2][]byte
				var shown [2]string
				for format := range raw {
					result := conn.PgConn().ExecParams(deadline(t), text, nil, nil, nil, []int16{int16(format)}).Read()
					if result.Err != nil || len(result.Rows) != 1 {
						t.Fatalf("%s: %v", typ.name, result.Err)
					}
					raw[format] = result.Rows[0][0]
					if raw[format] == nil {
						continue
					}
					value, err := decoded(conn.TypeMap(), result.FieldDescriptions[0].DataTypeOID, int16(format), raw[format])
					if err != nil {
						t.Fatalf("%s in format %d: %q is none: %v", typ.name, format, raw[format], err)
					}
					shown[format] = fmt.Sprint(value)
				}
				if want := strings.Contains(typ.leaves, method.Type[:1]); (raw[0] != nil) != want || (raw[1] != nil) != want {
					t.Errorf("%s: text %q, binary %q; want a value: %v", typ.name, raw[0], raw[1], want)
				}
				if shown[0] != shown[1] {
					t.Errorf("%s: text %s, binary %s", typ.name, shown[0], shown[1])
				}
				if raw[0] != nil && "'"+string(raw[0])+"'" == typ.value {
					t.Errorf("%s: unmasked", typ.name)
				}
			}
		})
	}
}

func decoded(m *pgtype.Map, oid uint32, format int16, value []byte) (any, error) {
	typ, ok := m.TypeForOID(oid)
	if !ok {
		return string(value), nil
	}
	found, err := typ.Codec.DecodeValue(m, oid, format, value)
	if n, is := found.(pgtype.Numeric); is && err == nil {
		return n.MarshalJSON()
	}
	return found, err
}
