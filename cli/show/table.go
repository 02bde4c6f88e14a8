// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"io"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Column is one column of a table of objects.
type Column[T client.Object] struct {
	Name string
	// Wide columns are shown with -o wide only.
	Wide bool
	// Value is a cell; what could deceive in it is made visible.
	Value func(T) string
}

// Table prints objects as rows. It remembers its columns, so that rows can be added.
type Table[T client.Object] struct {
	columns []Column[T]
	printer printers.ResourcePrinter
	out     flusher
}

// flusher is cli-runtime's own tabwriter, which remembers how wide columns are.
type flusher interface {
	io.Writer
	Flush() error
}

// NewTable begins a table. With namespaces, each row says which one its object is in.
func NewTable[T client.Object](out io.Writer, o *Output, namespaces bool, columns []Column[T]) *Table[T] {
	return &Table[T]{columns: columns, out: printers.GetNewTabWriter(out), printer: printers.NewTablePrinter(printers.PrintOptions{
		Wide: o.wide(), WithNamespace: namespaces, NoHeaders: o.noHeaders,
	})}
}

// Add prints rows, below those that were printed before.
func (t *Table[T]) Add(objects ...T) error {
	table := &metav1.Table{}
	for _, c := range t.columns {
		priority := int32(0)
		if c.Wide {
			priority = 1
		}
		table.ColumnDefinitions = append(table.ColumnDefinitions, metav1.TableColumnDefinition{Name: c.Name, Type: "string", Priority: priority})
	}
	for _, object := range objects {
		row := metav1.TableRow{Object: runtime.RawExtension{Object: object}}
		for _, c := range t.columns {
			cell := Line(c.Value(object))
			if cell == "" {
				cell = "-"
			}
			row.Cells = append(row.Cells, cell)
		}
		table.Rows = append(table.Rows, row)
	}
	if err := t.printer.PrintObj(table, t.out); err != nil {
		return err
	}
	return t.out.Flush()
}

// Age is how long ago something was, as kubectl shows it.
func Age(at metav1.Time) string {
	if at.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(max(0, time.Since(at.Time)))
}

// When is how far off a time is: "in 9m" or "4m ago".
func When(at metav1.Time) string {
	if at.IsZero() {
		return "<unknown>"
	}
	if left := time.Until(at.Time); left > 0 {
		return "in " + duration.HumanDuration(left)
	}
	return duration.HumanDuration(time.Since(at.Time)) + " ago"
}

// Time is a time as RFC 3339 has it, in UTC, and how far off it is.
func Time(at metav1.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339) + " (" + When(at) + ")"
}

// Rows returns what prints objects of a kind, called what, in the format that is asked for;
// all says that there are no more.
func Rows[T client.Object](streams genericiooptions.IOStreams, o *Output, what, namespace string, columns []Column[T]) func(objects []T, all bool) error {
	if !o.People() {
		return func(objects []T, all bool) error {
			plain := make([]client.Object, len(objects))
			for i, object := range objects {
				plain[i] = object
			}
			return o.Stream(streams.Out, plain, all)
		}
	}
	table := NewTable(streams.Out, o, namespace == "", columns)
	return func(objects []T, all bool) error {
		if len(objects) == 0 && all {
			None(streams.ErrOut, what, namespace)
		}
		if len(objects) == 0 {
			return nil
		}
		return table.Add(objects...)
	}
}
