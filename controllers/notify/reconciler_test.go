// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
)

// condition awaits the status and reason of a Notifier's condition.
func condition(t *testing.T, n *v1alpha1.Notifier, kind, want string) *v1alpha1.Notifier {
	t.Helper()
	live := &v1alpha1.Notifier{}
	await(t, "condition "+kind+" of "+n.Name, func() error {
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(n), live); err != nil {
			return err
		}
		c := meta.FindStatusCondition(live.Status.Conditions, kind)
		if c == nil || string(c.Status)+" "+c.Reason != want || live.Status.ObservedGeneration != live.Generation {
			return fmt.Errorf("%+v, want %s", c, want)
		}
		return nil
	})
	return live
}

// result awaits what a request says became of a notification.
func result(t *testing.T, r *v1alpha1.ApprovalRequest, n *v1alpha1.Notifier, event v1alpha1.NotifierEvent, want v1alpha1.NotificationResult) {
	t.Helper()
	await(t, fmt.Sprintf("%s of %s", want, r.Name), func() error {
		live := &v1alpha1.ApprovalRequest{}
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
			return err
		}
		if got := recorded(live, n.Name, event); got == nil || got.Result != want {
			return fmt.Errorf("%+v", live.Status.Notifications)
		}
		return nil
	})
}

// awaitEvent awaits an Event about a request.
func awaitEvent(t *testing.T, namespace, name, reason string) {
	t.Helper()
	await(t, "Event "+reason+" of "+name, func() error {
		var all eventsv1.EventList
		if err := admin.List(t.Context(), &all, client.InNamespace(namespace)); err != nil {
			return err
		}
		for i := range all.Items {
			if e := &all.Items[i]; e.Regarding.Kind == "ApprovalRequest" && e.Regarding.Name == name && e.Reason == reason {
				return nil
			}
		}
		return errors.New("there is none")
	})
}

// TestTold follows a request from its beginning to its end, over a restart of the manager.
func TestTold(t *testing.T) {
	prepare(t, "told")
	c := newChat(t)
	stop := start(t, nil)
	n := notifier(t, "told", c, nil)
	condition(t, n, v1alpha1.ConditionReady, "True Ready")
	r := held(t, "told", "orders-db-a", "", time.Now())
	become(t, r, v1alpha1.ApprovalPending, time.Now())
	c.awaits(t, r.Name, v1alpha1.NotifyRequested)
	result(t, r, n, v1alpha1.NotifyRequested, v1alpha1.NotificationSent)
	awaitEvent(t, "told", r.Name, "ApprovalPending")
	first := c.all()[0]
	want := "kubectl doorward approve --namespace told orders-db-a --digest " + r.Spec.Operation.Digest
	if first.id != string(r.UID)+".Requested" || first.message.ID != first.id || first.message.Command != want ||
		first.message.Statement != "DELETE FROM orders" || first.authorization != "Bearer "+canary {
		t.Errorf("%+v", first)
	}
	condition(t, n, v1alpha1.ConditionReachable, "True Delivering")
	stop()

	start(t, nil) // the next process; Events are made of what it sees happen
	c.awaits(t, held(t, "told", "orders-db-b", v1alpha1.ApprovalPending, time.Now()).Name, v1alpha1.NotifyRequested)
	become(t, r, v1alpha1.ApprovalApproved, time.Now())
	c.awaits(t, r.Name, v1alpha1.NotifyApproved)
	awaitEvent(t, "told", r.Name, "ApprovalApproved")
	become(t, r, v1alpha1.ApprovalRevoked, time.Now())
	c.awaits(t, r.Name, v1alpha1.NotifyRevoked)
	result(t, r, n, v1alpha1.NotifyRevoked, v1alpha1.NotificationSent)
	for _, event := range []v1alpha1.NotifierEvent{v1alpha1.NotifyRequested, v1alpha1.NotifyApproved, v1alpha1.NotifyRevoked} {
		if got := c.count(r.Name, event); got != 1 {
			t.Errorf("%s was told %d times", event, got)
		}
	}
}

// TestNothingOfBefore: neither a new Notifier nor a wider one pours out what was before.
func TestNothingOfBefore(t *testing.T) {
	prepare(t, "before")
	c := newChat(t)
	old := held(t, "before", "old", v1alpha1.ApprovalApproved, time.Now().Add(-time.Hour))
	start(t, nil)
	n := notifier(t, "before", c, func(n *v1alpha1.Notifier, _ *corev1.Secret) {
		n.Spec.Events = []v1alpha1.NotifierEvent{v1alpha1.NotifyApproved}
	})
	denied := held(t, "before", "denied", v1alpha1.ApprovalDenied, time.Now().Add(-time.Minute))
	held(t, "before", "new", v1alpha1.ApprovalApproved, time.Now().Add(time.Second))
	c.awaits(t, "new", v1alpha1.NotifyApproved)
	before := condition(t, n, v1alpha1.ConditionReady, "True Ready").Status

	await(t, "the change", func() error {
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(n), n); err != nil {
			return err
		}
		n.Spec.Events = []v1alpha1.NotifierEvent{v1alpha1.NotifyApproved, v1alpha1.NotifyDenied}
		return admin.Update(t.Context(), n)
	})
	await(t, "a new beginning", func() error {
		live := &v1alpha1.Notifier{}
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(n), live); err != nil {
			return err
		}
		if live.Status.Selection == before.Selection {
			return errors.New("the selection is the former")
		}
		return nil
	})
	held(t, "before", "later", v1alpha1.ApprovalDenied, time.Now().Add(2*time.Second))
	c.awaits(t, "later", v1alpha1.NotifyDenied)
	if c.count(old.Name, v1alpha1.NotifyApproved)+c.count(denied.Name, v1alpha1.NotifyDenied) > 0 {
		t.Errorf("what was before is told: %+v", c.all())
	}
}

// TestTriedAgain: a receiver that is away is told later, with the same id, and one request
// that it chokes on holds up no other and is given up in the end, with an Event.
func TestTriedAgain(t *testing.T) {
	prepare(t, "again")
	c, now := newChat(t), &clock{}
	var times atomic.Int64
	c.answers(func(got received) int {
		if got.message.Name == "poison" || times.Add(1) <= 2 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	start(t, func(o *Options) { o.Now = now.Now })
	n := notifier(t, "again", c, nil)
	poison := held(t, "again", "poison", v1alpha1.ApprovalPending, time.Now())
	c.awaits(t, poison.Name, v1alpha1.NotifyRequested)
	live := condition(t, n, v1alpha1.ConditionReachable, "False Unreachable")
	if text, err := yaml.Marshal(live); err != nil || strings.Contains(string(text), canary) {
		t.Errorf("checklist 47: the status shows a secret: %v: %s", err, text)
	}
	good := held(t, "again", "good", v1alpha1.ApprovalPending, time.Now())
	result(t, good, n, v1alpha1.NotifyRequested, v1alpha1.NotificationSent)
	ids := map[string]bool{}
	for _, one := range c.all() {
		if one.message.Name == good.Name {
			ids[one.id] = true
		}
	}
	if len(ids) != 1 || c.count(good.Name, v1alpha1.NotifyRequested) != 3 {
		t.Errorf("ids %v, told %d times", ids, c.count(good.Name, v1alpha1.NotifyRequested))
	}
	now.turn(giveUpAfter)
	become(t, good, v1alpha1.ApprovalApproved, now.Now()) // wakes it
	result(t, poison, n, v1alpha1.NotifyRequested, v1alpha1.NotificationGivenUp)
	awaitEvent(t, "again", poison.Name, "NotificationGivenUp")
	result(t, good, n, v1alpha1.NotifyApproved, v1alpha1.NotificationSent)
	var all eventsv1.EventList
	must(t, admin.List(t.Context(), &all))
	for i := range all.Items {
		if strings.Contains(all.Items[i].Note, canary) {
			t.Errorf("checklist 47: an Event shows a secret: %s", all.Items[i].Note)
		}
	}
}

// TestRefusedForGood: what a receiver will never take is not sent again.
func TestRefusedForGood(t *testing.T) {
	prepare(t, "refused")
	c := newChat(t)
	c.answers(func(received) int { return http.StatusBadRequest })
	start(t, nil)
	n := notifier(t, "refused", c, nil)
	r := held(t, "refused", "a", v1alpha1.ApprovalPending, time.Now())
	result(t, r, n, v1alpha1.NotifyRequested, v1alpha1.NotificationGivenUp)
	awaitEvent(t, "refused", r.Name, "NotificationGivenUp")
	c.answers(func(received) int { return http.StatusOK })
	other := held(t, "refused", "b", v1alpha1.ApprovalPending, time.Now())
	result(t, other, n, v1alpha1.NotifyRequested, v1alpha1.NotificationSent)
	if got := c.count(r.Name, v1alpha1.NotifyRequested); got != 1 {
		t.Errorf("it was sent %d times", got)
	}
}

// unread is an API server that cannot be asked.
type unread struct{ client.Reader }

func (unread) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("boom")
}

// TestDiedBeforeItWasWrittenDown: a notification is sent once by one manager, however often
// that fails to write it down, and again by the next, with the same id.
func TestDiedBeforeItWasWrittenDown(t *testing.T) {
	prepare(t, "died")
	c := newChat(t)
	stop := start(t, func(o *Options) { o.Live = unread{} })
	n := notifier(t, "died", c, nil)
	r := held(t, "died", "a", v1alpha1.ApprovalPending, time.Now())
	other := held(t, "died", "b", v1alpha1.ApprovalPending, time.Now())
	c.awaits(t, r.Name, v1alpha1.NotifyRequested)
	await(t, "the error", func() error {
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(n), n); err != nil {
			return err
		}
		if n.Status.Waiting == nil {
			return errors.New("no status")
		}
		return nil
	})
	stop()
	if got := c.count(r.Name, v1alpha1.NotifyRequested); got != 1 {
		t.Errorf("one manager sent it %d times", got)
	}
	start(t, nil)
	result(t, r, n, v1alpha1.NotifyRequested, v1alpha1.NotificationSent)
	result(t, other, n, v1alpha1.NotifyRequested, v1alpha1.NotificationSent)
	ids := map[string]int{}
	for _, one := range c.all() {
		ids[one.id]++
	}
	if len(ids) != 2 || ids[string(r.UID)+".Requested"] != 2 {
		t.Errorf("ids %v", ids)
	}
}

// TestFaults: what is wrong with a Notifier is said, and mended when that is.
func TestFaults(t *testing.T) {
	prepare(t, "faults")
	c := newChat(t)
	start(t, nil)
	n := notifier(t, "faults", c, func(_ *v1alpha1.Notifier, s *corev1.Secret) { s.Type = v1alpha1.SecretTypeSinkCredential })
	condition(t, n, v1alpha1.ConditionAccepted, "False WrongSecretType")
	condition(t, n, v1alpha1.ConditionReady, "False WrongSecretType")
	held(t, "faults", "a", v1alpha1.ApprovalPending, time.Now())
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = operatorNamespace, "faults"
	must(t, admin.Delete(t.Context(), secret))
	condition(t, n, v1alpha1.ConditionAccepted, "False SecretNotFound")
	secret = &corev1.Secret{Type: v1alpha1.SecretTypeNotifierCredential, StringData: map[string]string{keyHeaders: "A: b"}}
	secret.Namespace, secret.Name = operatorNamespace, "faults"
	must(t, admin.Create(t.Context(), secret))
	condition(t, n, v1alpha1.ConditionAccepted, "False IncompleteSecret")
	if len(c.all()) > 0 {
		t.Error("something was sent")
	}
	secret.StringData = map[string]string{keyURL: c.URL}
	must(t, admin.Update(t.Context(), secret))
	condition(t, n, v1alpha1.ConditionReady, "True Ready")
	c.awaits(t, "a", v1alpha1.NotifyRequested)
	await(t, "the change", func() error {
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(n), n); err != nil {
			return err
		}
		n.Spec.Template = `{"text": "{{ .Text }}"}`
		return admin.Update(t.Context(), n)
	})
	condition(t, n, v1alpha1.ConditionAccepted, "False InvalidTemplate")
}

// TestSelected: only what the selectors say.
func TestSelected(t *testing.T) {
	prepare(t, "selected")
	prepare(t, "unselected")
	c := newChat(t)
	start(t, nil)
	notifier(t, "selected", c, func(n *v1alpha1.Notifier, _ *corev1.Secret) {
		n.Spec.Connections = []v1alpha1.ConnectionSelector{{Name: "orders-*"}}
	})
	held(t, "unselected", "a", v1alpha1.ApprovalPending, time.Now())
	held(t, "selected", "b", v1alpha1.ApprovalPending, time.Now())
	c.awaits(t, "b", v1alpha1.NotifyRequested)
	if len(c.all()) != 1 {
		t.Errorf("%+v", c.all())
	}
}

// TestReasonIsBounded is checklist 38: a reason of 2 MB never gets as far as a notification.
func TestReasonIsBounded(t *testing.T) {
	prepare(t, "bounded")
	r := examples()[1].DeepCopy()
	r.ObjectMeta = metav1.ObjectMeta{Namespace: "bounded", Name: "a"}
	r.Spec.Requester, r.Spec.Binding, r.Spec.Revoke = v1alpha1.Requester{Username: "alice"}, v1alpha1.Binding{}, nil
	r.Spec.Decisions = []v1alpha1.Decision{}
	r.Spec.Session.Rules[0].Resources = nil
	for _, reason := range []string{strings.Repeat("a", 2<<20), "a\x1b[2K", "a\u202eb"} {
		r.Spec.Session.Reason = reason
		if err := admin.Create(t.Context(), r.DeepCopy()); err == nil || !strings.Contains(err.Error(), "spec.session.reason") {
			t.Errorf("a reason of %d bytes: %v", len(reason), err)
		}
	}
	r.Spec.Session.Reason = "INC-4711 <!channel> <https://evil.example|Approve>"
	must(t, admin.Create(t.Context(), r))
}
