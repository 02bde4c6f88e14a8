// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"slices"
	"strconv"
)

// builder turns rows of the introspection queries into a Catalog.
type builder struct {
	c *Catalog

	last  [2]uint32 // relation and object of the constraint that was read last
	whole bool      // it looks at whole rows
	keyOf uint32    // the foreign key that was read last
	key   *ForeignKey
}

func newBuilder() *builder {
	return &builder{c: &Catalog{
		relations: map[uint32]*Relation{},
		byName:    map[qualified]*Relation{},
		functions: map[qualified][]*Function{},
		byOID:     map[uint32]*Function{},
		types:     map[qualified]bool{},
		operators: map[qualified]bool{},
		casts:     map[qualified]bool{},
		reads:     map[uint32][]uint32{},
		used:      map[use][]int16{},
		kin:       map[uint32][]uint32{},
		invoke:    map[uint32][]uint32{},
		closures:  map[uint32][]uint32{},
		derived:   map[uint32][]uint32{},
		locking:   map[uint32]bool{},

		children: map[uint32][]uint32{}, parents: map[uint32][]uint32{}, written: map[uint32][]uint32{},
		references: map[uint32][]reference{}, code: map[uint32]bool{},
		forms: map[uint32]Form{}, triggers: map[uint32]bool{},
		constraints: map[uint32][]Constraint{}, keys: map[uint32][]*ForeignKey{},
		checked: map[uint32]bool{}, checkedNames: map[qualified]bool{},
	}}
}

func (b *builder) addDatabase(row []string) error {
	b.c.database = row[0]
	return nil
}

func (b *builder) addRelation(row []string) error {
	id, err := oid(row[0])
	if err != nil {
		return err
	}
	if len(row[3]) != 1 {
		return fmt.Errorf("relation %q has an unknown kind: %q", row[2], row[3])
	}
	r := &Relation{OID: id, Schema: row[1], Name: row[2], Kind: row[3][0], RowSecurity: row[4] == "t", columns: map[string]int{}}
	b.c.relations[id] = r
	b.c.byName[qualified{r.Schema, r.Name}] = r
	return nil
}

// attribute finds the relation of a row that begins with relation and number.
func (b *builder) attribute(row []string) (*Relation, int16, error) {
	id, err := oid(row[0])
	if err != nil {
		return nil, 0, err
	}
	r, ok := b.c.relations[id]
	if !ok {
		return nil, 0, fmt.Errorf("column of an unknown relation: %q", row[0])
	}
	n, err := strconv.ParseInt(row[1], 10, 16)
	if err != nil {
		return nil, 0, fmt.Errorf("not a column number: %q", row[1])
	}
	return r, int16(n), nil
}

func (b *builder) addColumn(row []string) error {
	r, number, err := b.attribute(row)
	if err != nil {
		return err
	}
	typ, err := oid(row[3])
	if err != nil {
		return err
	}
	collation, err := oid(row[4])
	if err != nil {
		return err
	}
	r.columns[row[2]] = len(r.Columns)
	r.Columns = append(r.Columns, Column{Number: number, Name: row[2], Type: typ, Collation: collation, Generated: row[5] == "t"})
	return nil
}

func (b *builder) addGenerated(row []string) error {
	r, number, err := b.attribute(row)
	if err != nil {
		return err
	}
	for i := range r.Columns {
		if r.Columns[i].Number == number {
			r.Columns[i].DerivedFrom = append(r.Columns[i].DerivedFrom, row[2])
		}
	}
	return nil
}

func pair(row []string) (from, to uint32, err error) {
	if from, err = oid(row[0]); err != nil {
		return 0, 0, err
	}
	to, err = oid(row[1])
	return from, to, err
}

func (b *builder) addRead(row []string) error {
	from, to, err := pair(row)
	if err != nil {
		return err
	}
	number, err := strconv.ParseInt(row[2], 10, 16)
	if err != nil {
		return fmt.Errorf("not a column number: %q", row[2])
	}
	if !slices.Contains(b.c.reads[from], to) {
		b.c.reads[from] = append(b.c.reads[from], to)
	}
	if number > 0 {
		key := use{from, to}
		b.c.used[key] = append(b.c.used[key], int16(number))
	}
	return nil
}

// related finds the relation of a row that begins with one. A row of a
// temporary relation finds none.
func (b *builder) related(row []string) (*Relation, error) {
	id, err := oid(row[0])
	if err != nil {
		return nil, err
	}
	return b.c.relations[id], nil
}

func (b *builder) addView(row []string) error {
	r, err := b.related(row)
	if r != nil {
		r.Definition = row[1]
	}
	return err
}

func (b *builder) addWriteRule(row []string) error {
	r, err := b.related(row)
	if r != nil {
		r.WriteRules = true
	}
	return err
}

func (b *builder) addUnique(row []string) error {
	r, err := b.related(row)
	if err != nil {
		return err
	}
	number, err := strconv.ParseInt(row[1], 10, 16)
	if err != nil {
		return fmt.Errorf("not a column number: %q", row[1])
	}
	if r != nil {
		r.Unique = append(r.Unique, int16(number))
	}
	return nil
}

func (b *builder) addRuleFunction(row []string) error {
	from, to, err := pair(row)
	if err == nil {
		b.c.invoke[from] = append(b.c.invoke[from], to)
	}
	return err
}

func (b *builder) addInheritance(row []string) error {
	from, to, err := pair(row)
	if err == nil {
		b.c.kin[from] = append(b.c.kin[from], to)
		b.c.kin[to] = append(b.c.kin[to], from)
		b.c.parents[from] = append(b.c.parents[from], to)
		b.c.children[to] = append(b.c.children[to], from)
	}
	return err
}

func (b *builder) addWritten(row []string) error {
	from, to, err := pair(row)
	if err == nil {
		b.c.written[from] = append(b.c.written[from], to)
	}
	return err
}

func (b *builder) addReference(row []string) error {
	to, from, err := pair(row)
	if err != nil {
		return err
	}
	if len(row[2]) != 1 || len(row[3]) != 1 {
		return fmt.Errorf("foreign key has unknown actions: %q, %q", row[2], row[3])
	}
	b.c.references[to] = append(b.c.references[to], reference{from: from, onDelete: row[2][0], onUpdate: row[3][0]})
	return nil
}

func (b *builder) addCode(row []string) error {
	id, err := oid(row[0])
	if err == nil {
		b.c.code[id] = true
	}
	return err
}

func (b *builder) addFunction(row []string) error {
	id, err := oid(row[0])
	if err != nil {
		return err
	}
	least, err := strconv.Atoi(row[3])
	if err != nil {
		return fmt.Errorf("function %q: not a number of arguments: %q", row[2], row[3])
	}
	most, err := strconv.Atoi(row[4])
	if err != nil {
		return fmt.Errorf("function %q: not a number of arguments: %q", row[2], row[4])
	}
	if len(row[6]) != 1 {
		return fmt.Errorf("function %q has an unknown volatility: %q", row[2], row[6])
	}
	f := &Function{
		OID: id, Schema: row[1], Name: row[2], MinArgs: least, MaxArgs: most,
		Volatility: row[6][0], SecurityDefiner: row[7] == "t", TakesRow: row[8] == "t", Compiled: row[9] == "t", Extension: row[10] == "t",
	}
	if row[5] == "t" {
		// VARIADIC may be given no element at all where it has a default, and
		// one array otherwise; the lower bound only keeps overloads apart.
		f.MaxArgs, f.MinArgs = -1, max(0, f.MinArgs-1)
	}
	key := qualified{f.Schema, f.Name}
	b.c.functions[key] = append(b.c.functions[key], f)
	b.c.byOID[id] = f
	return nil
}

func (b *builder) addType(row []string) error {
	b.c.types[qualified{row[0], row[1]}] = true
	return nil
}

func (b *builder) addOperator(row []string) error {
	b.c.operators[qualified{row[0], row[1]}] = true
	return nil
}

func (b *builder) addCast(row []string) error {
	b.c.casts[qualified{row[0], row[1]}] = true
	return nil
}

func (b *builder) addHidden(row []string) error {
	id, err := oid(row[0])
	if err != nil {
		return err
	}
	if id == 0 {
		b.c.hidden = true
	} else {
		b.c.locking[id] = true
	}
	return nil
}

// build computes the closures once, so that a lookup is a map access.
func (b *builder) build() *Catalog {
	c := b.c
	for id := range c.relations {
		c.closures[id] = reach(id, c.reads, c.kin)
		var derived []uint32
		for _, member := range c.Kin(id) {
			for _, read := range c.reads[member] {
				derived = append(derived, reach(read, c.reads, c.kin)...)
			}
		}
		slices.Sort(derived)
		c.derived[id] = slices.Compact(derived)
	}
	return c
}
