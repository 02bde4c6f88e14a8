// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"reflect"
	"sync"

	"github.com/multigres/multigres/go/common/parser/ast"
)

// children visits every child of a node, whatever its type: all exported
// fields that hold a node, a pointer to one or a slice of them. It is derived
// from the types themselves, so that no field can be forgotten.
func children(n ast.Node, visit func(ast.Node)) {
	v := reflect.ValueOf(n)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return
	}
	v = v.Elem()
	for _, f := range plan(v.Type()) {
		field := v.FieldByIndex(f.index)
		if f.slice {
			for i := range field.Len() {
				visitValue(field.Index(i), visit)
			}
			continue
		}
		visitValue(field, visit)
	}
}

func visitValue(v reflect.Value, visit func(ast.Node)) {
	if (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
		return
	}
	if v.Kind() == reflect.Struct {
		if !v.CanAddr() {
			return
		}
		v = v.Addr()
	}
	if n, ok := v.Interface().(ast.Node); ok && !isNilNode(n) {
		visit(n)
	}
}

// isNilNode is true for nil and for an interface that holds a nil pointer.
func isNilNode(n ast.Node) bool {
	if n == nil {
		return true
	}
	v := reflect.ValueOf(n)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

type childField struct {
	index []int
	slice bool
}

var (
	plans    sync.Map // reflect.Type -> []childField
	nodeType = reflect.TypeFor[ast.Node]()
)

func plan(t reflect.Type) []childField {
	if p, ok := plans.Load(t); ok {
		return p.([]childField) //nolint:errcheck // plans holds nothing else
	}
	var p []childField
	if t.Kind() == reflect.Struct {
		p = fieldsOf(t, nil)
	}
	plans.Store(t, p)
	return p
}

func fieldsOf(t reflect.Type, prefix []int) []childField {
	var out []childField
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		index := append(append([]int{}, prefix...), i)
		switch {
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			// BaseNode, BaseExpr: their fields, not they themselves, are of
			// interest.
			out = append(out, fieldsOf(f.Type, index)...)
		case holdsNode(f.Type):
			out = append(out, childField{index: index})
		case f.Type.Kind() == reflect.Slice && holdsNode(f.Type.Elem()):
			out = append(out, childField{index: index, slice: true})
		}
	}
	return out
}

func holdsNode(t reflect.Type) bool {
	return t.Implements(nodeType) || t.Kind() == reflect.Struct && reflect.PointerTo(t).Implements(nodeType)
}
