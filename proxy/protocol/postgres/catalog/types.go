// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

// Form is what values of a type look like on the wire.
type Form struct {
	// Type is the OID of the type itself or, for a domain, of what it stands on.
	Type uint32
	// Text says that values are characters in text format, Binary that they are
	// the same in binary format: the string types of users and extensions.
	Text, Binary bool
}

// maxDomains bounds domains over domains.
const maxDomains = 32

// Form finds what values of a type look like. Of a type that is built in, it says
// nothing but its OID.
func (c *Catalog) Form(oid uint32) Form {
	for range maxDomains {
		f, ok := c.forms[oid]
		if !ok {
			return Form{Type: oid}
		}
		if f.Type == 0 {
			f.Type = oid
			return f
		}
		oid = f.Type
	}
	return Form{}
}

// HasTriggers says whether a relation, or a partition or child of it, has
// triggers of users: writing it runs code that the catalog does not show.
func (c *Catalog) HasTriggers(oid uint32) bool {
	for _, member := range c.Kin(oid) {
		if c.triggers[member] {
			return true
		}
	}
	return c.triggers[oid]
}

// queryForms tells what domains stand on, and which types of users are strings,
// whose binary format is that of text where they are sent as text is.
const queryForms = `
SELECT t.oid, t.typbasetype, t.typcategory = 'S', COALESCE(s.prosrc, '') = 'textsend'
  FROM pg_catalog.pg_type t
  LEFT JOIN pg_catalog.pg_proc s ON s.oid = t.typsend
 WHERE t.typtype = 'd' OR t.typcategory = 'S' AND t.oid >= 16384`

// queryTriggers names the relations with triggers but those of foreign keys and
// deferred uniqueness.
const queryTriggers = `SELECT DISTINCT tgrelid FROM pg_catalog.pg_trigger WHERE NOT tgisinternal`

func (b *builder) addForm(row []string) error {
	id, base, err := pair(row)
	if err != nil {
		return err
	}
	b.c.forms[id] = Form{Type: base, Text: row[2] == "t", Binary: row[3] == "t"}
	return nil
}

func (b *builder) addTriggers(row []string) error {
	id, err := oid(row[0])
	if err == nil {
		b.c.triggers[id] = true
	}
	return err
}
