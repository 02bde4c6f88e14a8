// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// wide is the format with all columns.
const wide = "wide"

// nameFormat prints names only.
const nameFormat = "name"

// Output is the format that objects are printed in: kubectl's own, and text for people.
type Output struct {
	flags     *genericclioptions.PrintFlags
	scheme    *runtime.Scheme
	noHeaders bool
	// table says whether there is a table, hence the format wide.
	table bool
}

// NewOutput returns the formats for objects that a scheme knows.
func NewOutput(scheme *runtime.Scheme) *Output {
	return &Output{flags: genericclioptions.NewPrintFlags("").WithTypeSetter(scheme), scheme: scheme}
}

// Add gives a command that prints objects its flags.
func (o *Output) Add(cmd *cobra.Command) {
	o.flags.AddFlags(cmd)
	cmd.Flags().Lookup("output").Usage = fmt.Sprintf("Output format. One of: (%s). Text for people where unset.", strings.Join(o.formats(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return o.formats(), cobra.ShellCompDirectiveNoFileComp
	})
}

// AddTable gives a command that prints tables its flags.
func (o *Output) AddTable(cmd *cobra.Command) {
	o.table = true
	o.Add(cmd)
	cmd.Flags().BoolVar(&o.noHeaders, "no-headers", false, "Print no line of column names.")
}

func (o *Output) formats() []string {
	formats := o.flags.AllowedFormats()
	if o.table {
		formats = append(formats, wide)
	}
	slices.Sort(formats)
	return formats
}

// Check refuses a format that there is not.
func (o *Output) Check() error {
	if o.People() {
		return nil
	}
	if _, err := o.flags.ToPrinter(); err != nil {
		if genericclioptions.IsNoCompatiblePrinterError(err) {
			return fmt.Errorf("output format not known: %q: one of (%s)", *o.flags.OutputFormat, strings.Join(o.formats(), ", "))
		}
		return err
	}
	return nil
}

// People says whether text for people is asked for.
func (o *Output) People() bool {
	return *o.flags.OutputFormat == "" && *o.flags.TemplatePrinterFlags.TemplateArgument == "" || o.wide()
}

func (o *Output) wide() bool { return o.table && *o.flags.OutputFormat == wide }

// Object prints one object in a format for programs.
func (o *Output) Object(out io.Writer, object client.Object) error {
	printer, err := o.flags.ToPrinter()
	if err != nil {
		return err
	}
	if err := o.name(object); err != nil {
		return err
	}
	return printer.PrintObj(object, out)
}

// Objects prints several, as kubectl does: a List, or one after the other where names are
// asked for.
func (o *Output) Objects(out io.Writer, objects []client.Object) error {
	if *o.flags.OutputFormat == nameFormat {
		for _, object := range objects {
			if err := o.Object(out, object); err != nil {
				return err
			}
		}
		return nil
	}
	printer, err := o.flags.ToPrinter()
	if err != nil {
		return err
	}
	list := &corev1.List{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "List"}, Items: []runtime.RawExtension{}}
	for _, object := range objects {
		if err := o.name(object); err != nil {
			return err
		}
		list.Items = append(list.Items, runtime.RawExtension{Object: object})
	}
	return printer.PrintObj(list, out)
}

// Stream prints objects: a List where there are no more, or else one after the other.
func (o *Output) Stream(out io.Writer, objects []client.Object, all bool) error {
	if all {
		return o.Objects(out, objects)
	}
	for _, object := range objects {
		if err := o.Object(out, object); err != nil {
			return err
		}
	}
	return nil
}

// None says that nothing was found, where tables are printed.
func None(out io.Writer, what, namespace string) {
	where := "in any namespace"
	if namespace != "" {
		where = "in namespace " + namespace
	}
	fmt.Fprintf(out, "No %s found %s.\n", what, where)
}

// name gives an object that a client read its kind, which clients leave out.
func (o *Output) name(object client.Object) error {
	kind, err := apiutil.GVKForObject(object, o.scheme)
	if err != nil {
		return err
	}
	object.GetObjectKind().SetGroupVersionKind(kind)
	return nil
}
