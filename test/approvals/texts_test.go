// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvals

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// What is in every text of TestTexts, as far as its way takes it: what draws on a terminal, what
// turns text round, what shows nothing, and a line of its own.
const (
	invisible = "\u202e\u2066\u200b\u200d\ufeff\u0085\u009b2K\u2028\u00ad"
	escapes   = "\x1b[2K\x1b]0;x\a\x7f"
	drawing   = escapes + "\r\n" + forged + invisible
	forged    = "FORGED"
	// named is what the name of a table may have.
	named = "\u202e\u2066\u200b\ufeff\u00ad"
)

// text is something that somebody else than its readers writes.
type text struct {
	reason string
	// says is what is put behind the row's mark; drawing where empty.
	says string
	// write puts the text where it goes and returns what its writer was told.
	write func(t *testing.T, s *speakers, text string) string
	// shown are the outputs that must have the row's mark: its writer's own is "told".
	shown []string
}

var texts = map[string]text{
	"Statement":       {reason: "a statement that is held", write: writeStatement, shown: []string{requestsOut, replayOut, auditOut}},
	"HeldTable":       {reason: "the name of a table, of a statement that is held", says: named, write: writeHeldTable, shown: []string{requestsOut, replayOut}},
	"DeniedTable":     {reason: "the name of a table that may not be read", says: named, write: writeDeniedTable, shown: []string{"told", auditOut}},
	"MissingTable":    {reason: "the name of a table that there is not", says: named, write: ask(`SELECT * FROM "%s"`), shown: []string{"told"}},
	"Prepared":        {reason: "the name of a prepared statement", says: named, write: ask(`EXECUTE "%s"`), shown: []string{"told"}},
	"Cursor":          {reason: "the name of a cursor", says: named, write: ask(`FETCH FROM "%s"`), shown: []string{"told"}},
	"Identifier":      {reason: "a name that no object may have", write: ask(`SELECT * FROM "%s"`), shown: []string{"told"}},
	"Setting":         {reason: "the value of a setting that is refused", write: ask(`SET client_encoding = '%s'`)},
	"TargetError":     {reason: "what the target says of an error, which may have several lines", says: escapes + invisible, write: ask(`SELECT '%s'::integer`), shown: []string{"told", auditOut}},
	"Syntax":          {reason: "what cannot be parsed", write: ask(`SELECT 1 "%s" nonsense`)},
	"ApplicationName": {reason: "what a client calls itself", write: startup(func(c *parameters, text string) { c.RuntimeParams["application_name"] = text }), shown: []string{recordsOut}},
	"Parameter":       {reason: "the name of a startup parameter", write: startup(func(c *parameters, text string) { c.RuntimeParams[text] = "1" }), shown: []string{"told"}},
	"ParameterValue":  {reason: "the value of a startup parameter", write: startup(func(c *parameters, text string) { c.RuntimeParams["client_encoding"] = text })},
	"Options":         {reason: "startup options", write: startup(func(c *parameters, text string) { c.RuntimeParams["options"] = "-c " + text + "=1" })},
	"Database":        {reason: "the name of a database", write: startup(func(c *parameters, text string) { c.Database = text }), shown: []string{"told"}},
	"User":            {reason: "the user name of the startup message", write: startup(func(c *parameters, text string) { c.User = text })},
	"Password":        {reason: "what is no token", write: startup(func(c *parameters, text string) { c.Password = text })},
	"UserClaim":       {reason: "a claim that names the user", write: claims(func(text string) (string, []string) { return text, nil })},
	"UserClaimHidden": {reason: "a claim that names the user, with what shows nothing only", says: invisible, write: claims(func(text string) (string, []string) { return text, nil })},
	"GroupClaim":      {reason: "a claim that names groups", write: claims(func(text string) (string, []string) { return "tess", []string{text} })},
	"Comment":         {reason: "what an approver says", says: invisible, write: writeComment, shown: []string{"told", requestsOut}},
	"Approver":        {reason: "the name of an approver, as the API server's own provider has it", write: writeApprover, shown: []string{"told", requestsOut}},
	"ApproverGroup":   {reason: "the group of an approver", write: writeApproverGroup},
	"Reason":          {reason: "why somebody asks, past the plugin", says: drawing + "\x00", write: writeReason, shown: []string{"told"}},
	"Requester":       {reason: "the name of somebody who asks", write: writeRequester, shown: []string{requestsOut}},
	"Terminate":       {reason: "why a session was ended, past the plugin", says: invisible, write: writeTerminate, shown: []string{"told", sessionsOut, replayOut}},
	"Owner":           {reason: "whose a gateway credential is, and why it was revoked", write: writeOwner, shown: []string{credentialsOut}},
	"RequestFlag":     {reason: "why somebody asks, by the plugin", write: byPlugin("request", stack.Connection, "--rule", "texts/incident", "--reason")},
	"KillFlag":        {reason: "why a session is ended, by the plugin", write: byPlugin("kill", "none", "--reason")},
	"RevokeFlag":      {reason: "why a credential is revoked, by the plugin", write: byPlugin("credentials", "revoke", "none", "--reason")},
	"Explained":       {reason: "a statement that a policy is asked about", write: byPlugin("policy", "explain", "--as", "tess", "-c", stack.Connection, "--statement")},
	"ExplainedUser":   {reason: "a user that a policy is asked about", write: byPlugin("policy", "explain", "-c", stack.Connection, "select public.orders", "--as")},
	"NamedRequest":    {reason: "the name of a request that there is not", write: byPlugin("approve")},
	"NamedSession":    {reason: "the name of a session that there is not", write: byPlugin("sessions")},
}

// TestTexts: checklist 37 and 48, whatever requesters, approvers, identity providers and
// targets write comes out of the plugin, of what the proxy tells its callers, of the record and
// of the programs' logs as text that is all to be seen, on lines that are not its own.
func TestTexts(t *testing.T) {
	s := newSpeakers(t)
	told := map[string]string{}
	for name, row := range texts {
		says := row.says
		if says == "" {
			says = drawing
		}
		// Each goes its way before all is read.
		told[name] = row.write(t, s, markOf(name)+says)
	}
	outputs := s.outputs(t)
	for name, out := range outputs {
		plain(t, name, out)
	}
	for name, row := range texts {
		t.Run(name, func(t *testing.T) {
			t.Log(row.reason)
			plain(t, "told", told[name])
			for _, where := range row.shown {
				out := outputs[where]
				if where == "told" {
					out = told[name]
				}
				if !strings.Contains(out, markOf(name)) {
					t.Errorf("%s does not have it: %q", where, clipped(out))
				}
			}
		})
	}
}

// speakers are those who write, and what they work with.
type speakers struct {
	bob client.Client
	// admin is the path of a kubeconfig.
	admin string
	// sessions are the names of those that are replayed.
	sessions []string
}

func newSpeakers(t *testing.T) *speakers {
	t.Helper()
	held := v1alpha1.Rule{
		Name: "held", Effect: v1alpha1.EffectRequireApproval, Actions: []string{"update"}, Resources: []string{"public.*"},
		Approval: &v1alpha1.ApprovalTerms{TimeoutSeconds: 600, Minimum: 1, Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}}},
	}
	incident := *held.DeepCopy()
	incident.Name, incident.Actions = "incident", []string{"delete"}
	incident.Approval.Scope, incident.Approval.MaxDurationSeconds = v1alpha1.ApprovalScopeSession, 3600
	stacktest.Give(t, world, stack.Policy("texts", stack.Users("tess"), stack.Talk(), stack.Allow("read", []string{"select"}, "public.orders"), held, incident))
	path, err := world.Control.WriteKubeconfig("texts-admin", world.Control.Direct)
	stacktest.Must(t, err)
	return &speakers{bob: person(t, "bob", "dba"), admin: path}
}

// refuse denies a request, and returns what the caller is told.
func (h *heldText) refuse(t *testing.T, who client.Client, comment string) string {
	t.Helper()
	decision, err := json.Marshal([]map[string]any{{"op": "add", "path": "/spec/decisions/-", "value": v1alpha1.Decision{
		Verdict: v1alpha1.VerdictDeny, OperationDigest: h.request.Spec.Operation.Digest, Comment: comment,
	}}})
	stacktest.Must(t, err)
	stacktest.Must(t, who.Patch(t.Context(), h.request, client.RawPatch(types.JSONPatchType, decision)))
	return h.notice + saidOf(<-h.answer)
}

func writeStatement(t *testing.T, s *speakers, text string) string {
	t.Helper()
	return s.held(t, "UPDATE orders SET status = '"+text+"' WHERE id = 9").refuse(t, s.bob, "")
}

func writeHeldTable(t *testing.T, s *speakers, text string) string {
	t.Helper()
	table(t, text)
	return s.held(t, `UPDATE "`+text+`" SET id = 1 WHERE id = 9`).refuse(t, s.bob, "")
}

func writeDeniedTable(t *testing.T, s *speakers, text string) string {
	t.Helper()
	table(t, text)
	return ask(`SELECT * FROM "%s"`)(t, s, text)
}

func writeComment(t *testing.T, s *speakers, text string) string {
	t.Helper()
	return s.held(t, "UPDATE orders SET status = 'sent' WHERE id = 9").refuse(t, s.bob, text)
}

func writeApprover(t *testing.T, s *speakers, text string) string {
	t.Helper()
	return s.held(t, "UPDATE orders SET status = 'sent' WHERE id = 9").refuse(t, person(t, text, "dba"), "")
}

func writeApproverGroup(t *testing.T, s *speakers, text string) string {
	t.Helper()
	return s.held(t, "UPDATE orders SET status = 'sent' WHERE id = 9").refuse(t, person(t, "gerd", "dba", text), "")
}

func incident(reason string) *v1alpha1.ApprovalRequest {
	return &v1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, GenerateName: "texts-"},
		Spec: v1alpha1.ApprovalRequestSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: stack.Connection}, Scope: v1alpha1.ApprovalScopeSession,
			Session: v1alpha1.RequestedSession{
				Reason: reason, DurationSeconds: 600, Rules: []v1alpha1.RequestedRule{{Kind: v1alpha1.KindAccessPolicy, Policy: "texts", Rule: "incident"}},
			},
			Decisions: []v1alpha1.Decision{},
		},
	}
}

// writeReason is refused by the API server, which is asked as kubectl asks.
func writeReason(t *testing.T, _ *speakers, text string) string {
	t.Helper()
	err := world.Admin.Create(t.Context(), incident(text))
	if err == nil {
		t.Error("a reason that deceives was accepted")
		return ""
	}
	return err.Error()
}

func writeRequester(t *testing.T, _ *speakers, text string) string {
	t.Helper()
	mayAsk(t, text)
	request := incident("INC-1")
	stacktest.Must(t, person(t, text).Create(t.Context(), request))
	await(t, request.Name, v1alpha1.ApprovalPending)
	return ""
}

func writeTerminate(t *testing.T, s *speakers, text string) string {
	t.Helper()
	session := s.login(t)
	object := s.object(t, session)
	stacktest.Change(t, world, object, func(o *v1alpha1.AuditSession) {
		o.Spec.Terminate = &v1alpha1.Termination{Reason: text}
	})
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	defer cancel()
	return saidOf(session.WaitForNotification(ctx))
}

// writeOwner is what an identity provider that lets such names pass would have the manager write.
func writeOwner(t *testing.T, _ *speakers, text string) string {
	t.Helper()
	account := rest.CopyConfig(world.Control.Direct)
	account.Impersonate.UserName = "system:serviceaccount:" + stack.OperatorNamespace + ":doorward-manager"
	manager, err := stack.NewClient(account)
	stacktest.Must(t, err)
	credential := &v1alpha1.GatewayCredential{
		ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("ab", 16)},
		Spec: v1alpha1.GatewayCredentialSpec{
			Form: v1alpha1.GatewayCredentialToken, IdentityProvider: "company", ExpiresAt: metav1.NewTime(time.Now().Add(time.Hour)),
			Owner: v1alpha1.CredentialOwner{Issuer: world.Issuer.URL, Subject: text, Username: text},
		},
	}
	stacktest.Must(t, manager.Create(t.Context(), credential))
	t.Cleanup(func() { _ = manager.Delete(context.Background(), credential) })
	err = world.Admin.Patch(t.Context(), credential, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"revoke":{"reason":"\u202elost"}}}`)))
	if err != nil {
		return err.Error()
	}
	return ""
}

// byPlugin gives a text to a verb, as its last word.
func byPlugin(args ...string) func(*testing.T, *speakers, string) string {
	return func(t *testing.T, s *speakers, text string) string {
		t.Helper()
		return s.plugin(t, append(args[:len(args):len(args)], text)...)
	}
}
