// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// TestReadingChanges is checklist 10: the target reports how it reads constants only
// where a segment ends. What stands before that is not forwarded once that changed:
// here, a subquery that would be taken for a constant.
func TestReadingChanges(t *testing.T) {
	r, s := road(t)
	past(t, `CREATE TABLE public.rereads (i int);
		CREATE FUNCTION public.reread() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN SET standard_conforming_strings = off; RETURN NEW; END';
		CREATE TRIGGER reread BEFORE INSERT ON public.rereads FOR EACH ROW EXECUTE FUNCTION public.reread()`)
	t.Cleanup(func() { past(t, "DROP TABLE public.rereads; DROP FUNCTION public.reread()") })
	const trick = `SELECT '\'|| ' , (SELECT word FROM public.secrets) -- '`
	const block = "DO 'BEGIN SET standard_conforming_strings = off; END'"
	for name, send := range map[string][]pgproto3.FrontendMessage{
		"block":         append(pipeline(block, trick), syncNow),
		"pg_settings":   append(pipeline("UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'", trick), syncNow),
		"trigger":       append(pipeline("INSERT INTO public.rereads VALUES (1)", trick), syncNow),
		"then a Query":  append(pipeline(block), query(trick)),
		"pathless text": append(pipeline(block), query(`NOTIFY a, '\'; SELECT word FROM public.secrets --'`)),
	} {
		t.Run(name, func(t *testing.T) {
			c := enter(t, r, s)
			c.send(send...)
			if got := results(c.until(1)); !strings.HasSuffix(got, "FATAL 42501, end") || strings.Contains(got, "classified") {
				t.Errorf("got %s", got)
			}
		})
	}
}
