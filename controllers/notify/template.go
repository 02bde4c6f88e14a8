// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/doorward/doorward/api/v1alpha1"
)

// maxBody bounds a notification, and what any function of a template makes, in bytes.
const maxBody = 64 << 10

var errTooLong = fmt.Errorf("more than %d bytes", maxBody)

// functions are what a template may call, besides comparisons. Each bounds what it makes.
var functions = template.FuncMap{
	"json":     jsonText,
	"print":    concatenate,
	"truncate": truncate,
}

// comparisons are the functions of text/template that make nothing but yes, no, a number
// or one of their arguments. The others, such as printf, make texts of any size.
var comparisons = []string{"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len"}

// notice is a checked template. Nil sends the Message itself.
type notice struct {
	template *template.Template
	isJSON   bool
}

// newNotice reads a template and refuses what could run or grow without bound: a template
// goes through its text once, and once through each short list within.
func newNotice(spec *v1alpha1.NotifierSpec) (*notice, error) {
	n := &notice{isJSON: spec.ContentType == "" || strings.HasSuffix(spec.ContentType, "json")}
	if spec.Template == "" {
		if !n.isJSON {
			return nil, fmt.Errorf("contentType %q needs a template: without one, JSON is sent", spec.ContentType)
		}
		return n, nil
	}
	parsed, err := template.New("template").Option("missingkey=error").Funcs(functions).Parse(spec.Template)
	if err != nil {
		return nil, err
	}
	if parsed.Tree == nil || len(parsed.Templates()) > 1 {
		return nil, errors.New("template: define and block are not to be used")
	}
	if err := (walk{tree: parsed.Tree, isJSON: n.isJSON}).list(parsed.Root); err != nil {
		return nil, err
	}
	n.template = parsed
	if err := n.tryOut(spec.Markup); err != nil {
		return nil, err
	}
	return n, nil
}

// tryOut makes a notification of each event, and of texts that try to break out.
func (n *notice) tryOut(markup v1alpha1.NotifierMarkup) error {
	for _, o := range occasions {
		for _, r := range examples() {
			if _, err := n.execute(newMessage(r, o.event, r.CreationTimestamp.Time, markup)); err != nil {
				return fmt.Errorf("%w: tried with an example of event %s", err, o.event)
			}
		}
	}
	return nil
}

// execute makes what is sent.
func (n *notice) execute(m *Message) ([]byte, error) {
	if n.template == nil {
		return encode(m)
	}
	body := &bounded{}
	if err := n.template.Execute(body, m); err != nil {
		return nil, err
	}
	if n.isJSON && !json.Valid(body.Bytes()) {
		var document json.RawMessage
		return nil, fmt.Errorf("template makes no JSON: %w", json.Unmarshal(body.Bytes(), &document))
	}
	return body.Bytes(), nil
}

// bounded is a buffer of at most maxBody bytes.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxBody {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}

// walk looks at every node of a template.
type walk struct {
	tree    *parse.Tree
	isJSON  bool
	inRange bool
}

func (w walk) list(list *parse.ListNode) error {
	if list == nil {
		return nil
	}
	for _, node := range list.Nodes {
		if err := w.node(node); err != nil {
			return err
		}
	}
	return nil
}

func (w walk) node(node parse.Node) error {
	switch n := node.(type) {
	case *parse.TextNode, *parse.CommentNode, *parse.BreakNode, *parse.ContinueNode:
		return nil
	case *parse.ActionNode:
		if len(n.Pipe.Decl) > 0 {
			return w.fault(n, "variables are not to be set")
		}
		if w.isJSON && !endsIn(n.Pipe, "json") {
			return w.fault(n, "what is put out into JSON must end in json, as in {{ .Text | json }}, which writes the quotes too")
		}
		return w.pipe(n.Pipe)
	case *parse.IfNode:
		return w.branch(&n.BranchNode)
	case *parse.WithNode:
		return w.branch(&n.BranchNode)
	case *parse.RangeNode:
		if w.inRange || !isField(n.Pipe) {
			return w.fault(n, "range goes over .Accesses, .Rules or .LookAlikes, and not within another range")
		}
		w.inRange = true
		return errors.Join(w.list(n.List), w.list(n.ElseList), w.pipe(n.Pipe))
	}
	return w.fault(node, "not to be used in a notification")
}

func (w walk) branch(n *parse.BranchNode) error {
	if len(n.Pipe.Decl) > 0 {
		return w.fault(n, "variables are not to be set")
	}
	return errors.Join(w.pipe(n.Pipe), w.list(n.List), w.list(n.ElseList))
}

func (w walk) pipe(p *parse.PipeNode) error {
	for _, command := range p.Cmds {
		for _, argument := range command.Args {
			if err := w.argument(argument); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w walk) argument(node parse.Node) error {
	switch n := node.(type) {
	case *parse.IdentifierNode:
		if functions[n.Ident] == nil && !slices.Contains(comparisons, n.Ident) {
			return w.fault(n, fmt.Sprintf("there is no function %q: use json, print, truncate, or one that compares", n.Ident))
		}
	case *parse.FieldNode:
		return w.field(n, n.Ident)
	case *parse.VariableNode:
		if len(n.Ident) > 1 {
			return w.field(n, n.Ident[1:])
		}
	case *parse.PipeNode:
		if len(n.Decl) > 0 {
			return w.fault(n, "variables are not to be set")
		}
		return w.pipe(n)
	case *parse.ChainNode:
		return w.fault(n, "a field has no fields")
	}
	return nil
}

func (w walk) field(node parse.Node, names []string) error {
	if _, ok := reflect.TypeFor[Message]().FieldByName(names[0]); !ok || len(names) > 1 {
		return w.fault(node, fmt.Sprintf("there is no field %q", strings.Join(names, ".")))
	}
	return nil
}

func (w walk) fault(node parse.Node, text string) error {
	where, what := w.tree.ErrorContext(node)
	return fmt.Errorf("%s: %s: %s", where, what, text)
}

func endsIn(p *parse.PipeNode, function string) bool {
	last := p.Cmds[len(p.Cmds)-1]
	name, ok := last.Args[0].(*parse.IdentifierNode)
	return ok && name.Ident == function
}

// isField says whether a range goes over a field that is a list.
func isField(p *parse.PipeNode) bool {
	if len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 || p.IsAssign {
		return false
	}
	field, ok := p.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok {
		return false
	}
	found, ok := reflect.TypeFor[Message]().FieldByName(field.Ident[0])
	return ok && found.Type.Kind() == reflect.Slice
}

// encode is JSON that leaves < and > as they are: a receiver shows them, or has them
// escaped by the markup.
func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	if b.Len() > maxBody {
		return nil, errTooLong
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func jsonText(value any) (string, error) {
	text, err := encode(value)
	return string(text), err
}

// concatenate joins texts and numbers, with nothing between them.
func concatenate(values ...any) (string, error) {
	var b strings.Builder
	for _, value := range values {
		text, ok := value.(string)
		if !ok {
			text = fmt.Sprint(value)
		}
		if b.Len()+len(text) > maxBody {
			return "", errTooLong
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// truncate cuts a text to a number of characters. What the markup escaped is not cut in
// the middle: half an escape could take what follows it with it.
func truncate(limit int, text string) (string, error) {
	if limit < 1 {
		return "", errors.New("truncate: want a number of characters and a text")
	}
	runes := []rune(text)
	if len(runes) <= limit {
		return text, nil
	}
	runes = runes[:limit-1]
	for i := len(runes) - 1; i >= 0 && i >= len(runes)-6; i-- {
		if runes[i] == ';' {
			break
		}
		if runes[i] == '&' {
			runes = runes[:i]
			break
		}
	}
	for len(runes) > 0 && runes[len(runes)-1] == '\\' {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + cutMark, nil
}
