// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	clipolicy "github.com/doorward/doorward/cli/policy"
	"github.com/doorward/doorward/cli/show"
	"github.com/doorward/doorward/proxy/policy"
)

// Who told the rights.
const (
	byProxy    = "proxy"
	byPolicies = "policies"
)

// namesShown is how many Connections a note names.
const namesShown = 3

// check refuses flags that make no sense together.
func (o *options) check() error {
	switch o.asking.Proxy {
	case clipolicy.ProxyAuto, clipolicy.ProxyAlways, clipolicy.ProxyNever:
	default:
		return fmt.Errorf("invalid --proxy: one of (%s, %s, %s): %q: ask one proxy by its address with \"kubectl doorward policy can-i --proxy\"",
			clipolicy.ProxyAuto, clipolicy.ProxyAlways, clipolicy.ProxyNever, o.asking.Proxy)
	}
	if o.meant() && o.other() != "" {
		return fmt.Errorf("%s is not for proxies: they know who you are by your token", o.other())
	}
	return o.asking.Check()
}

// meant says whether the proxies are to be asked whatever keeps them from it.
func (o *options) meant() bool {
	return o.asking.Proxy == clipolicy.ProxyAlways || o.asking.Proxy == clipolicy.ProxyAuto && o.asking.Given() && !o.All
}

// other is the flag that asks for somebody else than the holder of the token.
func (o *options) other() string {
	switch {
	case o.provider != "":
		return "--provider"
	case len(o.groups) > 0:
		return "--group"
	case *o.Impersonate != "" || len(*o.ImpersonateGroup) > 0 || *o.ImpersonateUID != "":
		return "--as"
	}
	return ""
}

// right is what is known of one Connection.
type right struct {
	clipolicy.Rights
	// by is who told it, short why nobody did.
	by, short string
}

// rights are those on each Connection, and what is to be said of them.
type rights struct {
	of    map[client.ObjectKey]right
	notes []string
}

// rights asks the proxies, and reads the policies where they are not asked.
func (o *options) rights(ctx context.Context, streams genericiooptions.IOStreams, connections []*v1alpha1.Connection, deps *clipolicy.Dependencies) *rights {
	known := &rights{of: map[client.ObjectKey]right{}}
	answers, short, why := o.ask(ctx, streams.In, connections)
	var left []*v1alpha1.Connection
	for _, c := range connections {
		key := client.ObjectKeyFromObject(c)
		answer, asked := answers[key]
		silent := &clipolicy.Unanswered{Short: "no answer"}
		switch {
		case asked && answer.Err == nil:
			known.of[key] = right{Rights: answer, by: byProxy}
		case asked:
			_ = errors.As(answer.Err, &silent)
			known.of[key] = right{Rights: answer, short: silent.Short}
			// A proxy that does not answer would let nobody in, whatever policies say.
			if !silent.Refused && !o.meant() {
				left = append(left, c)
			}
		default:
			known.of[key] = right{Rights: clipolicy.Rights{Err: why}, short: short}
			if !o.meant() {
				left = append(left, c)
			}
		}
	}
	read := o.read(ctx, left, deps)
	known.tell(connections, read, why)
	return known
}

// ask asks the proxies. Where none is asked, why is said, in a few words too.
func (o *options) ask(ctx context.Context, in io.Reader, connections []*v1alpha1.Connection) (answers map[client.ObjectKey]clipolicy.Rights, short string, why error) {
	switch {
	case o.asking.Proxy == clipolicy.ProxyNever:
		return nil, "", errors.New("--proxy never asks none")
	case o.other() != "":
		return nil, "", fmt.Errorf("%s asks for somebody else than your token is of", o.other())
	case o.All && !o.meant():
		return nil, "not asked", errors.New("whoever runs a proxy gets to see your token: --proxy always asks those of all namespaces")
	}
	token, err := o.asking.Token(ctx, in)
	if err != nil {
		return nil, "no login", err
	}
	proxies, err := clipolicy.NewProxies(o.ConfigFlags, &o.asking, token)
	if err != nil {
		return nil, "not asked", err
	}
	return proxies.Rights(ctx, connections), "", nil
}

// read tells rights from policies, namespace by namespace. What cannot be told of one is
// told of the others.
func (o *options) read(ctx context.Context, connections []*v1alpha1.Connection, deps *clipolicy.Dependencies) map[client.ObjectKey]clipolicy.Rights {
	all := map[client.ObjectKey]clipolicy.Rights{}
	asker := clipolicy.Asker{Cluster: o.ConfigFlags, Provider: o.provider, Groups: o.groups}
	reach, failed := map[string]map[string]clipolicy.Rights{}, map[string]error{}
	for _, c := range connections {
		if _, done := reach[c.Namespace]; !done {
			reach[c.Namespace], failed[c.Namespace] = asker.Reach(ctx, c.Namespace, deps)
		}
		r, found := reach[c.Namespace][c.Name]
		switch {
		case failed[c.Namespace] != nil:
			r = clipolicy.Rights{Err: failed[c.Namespace]}
		case !found: // made since the list was read
			r = clipolicy.Rights{Err: errors.New("it was made just now: run the command again")}
		}
		all[client.ObjectKeyFromObject(c)] = r
	}
	return all
}

// tell puts together what proxies and policies told, and notes what is to be said of it:
// once for Connections of which the same is to be said.
func (known *rights) tell(connections []*v1alpha1.Connection, read map[client.ObjectKey]clipolicy.Rights, why error) {
	type group struct {
		text  string
		names []string
	}
	var groups []*group
	byKey := map[string]*group{}
	note := func(about, name, text string) {
		g := byKey[about]
		if g == nil {
			g = &group{text: text}
			byKey[about] = g
			groups = append(groups, g)
		}
		g.names = append(g.names, name)
	}
	for _, c := range connections {
		key := client.ObjectKeyFromObject(c)
		r := known.of[key]
		told, tried := read[key]
		name := c.Namespace + "/" + c.Name
		switch {
		case r.by != "":
		case tried && told.Err == nil:
			if why == nil {
				note("policies "+r.short, name, "are told from the policies, not by the proxy: "+oneLine(r.Err))
			}
			known.of[key] = right{Rights: told, by: byPolicies}
		case tried && why == nil:
			note("both "+c.Namespace+r.short, name, "are unknown: "+oneLine(r.Err)+"\nThe policies do not tell them: "+oneLine(told.Err))
		case tried:
			note("none "+c.Namespace+oneLine(told.Err), name, "are unknown: "+oneLine(told.Err)+"\nThe proxies are not asked: "+oneLine(why))
		default:
			note("proxy "+c.Namespace+r.short, name, "are unknown: "+oneLine(r.Err))
		}
	}
	for _, g := range groups {
		known.notes = append(known.notes, "Your rights on "+few(g.names)+" "+g.text)
	}
}

// few are names, not too many of them.
func few(names []string) string {
	if len(names) <= namesShown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:namesShown], ", "), len(names)-namesShown)
}

// oneLine is an error, or several that were joined.
func oneLine(err error) string { return show.Line(strings.ReplaceAll(err.Error(), "\n", "; ")) }

// say puts rights in words.
func (r right) say() string {
	switch {
	case r.Err != nil && r.short != "":
		return "unknown (" + r.short + ")"
	case r.Err != nil:
		return "unknown"
	case r.Connect == policy.Deny || r.Connect == "":
		return "none"
	}
	var parts []string
	if len(r.Allowed) > 0 {
		parts = append(parts, strings.Join(r.Allowed, ","))
	}
	if len(r.Approval) > 0 {
		parts = append(parts, "with approval: "+strings.Join(r.Approval, ","))
	}
	if r.Module {
		parts = append(parts, "more by Rego")
	}
	if r.Restricted {
		parts = append(parts, "some refused")
	}
	text := strings.Join(parts, "; ")
	if r.Connect == policy.RequireApproval {
		text = "session after approval; " + text
	}
	return text
}
