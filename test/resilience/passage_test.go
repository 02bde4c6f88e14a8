// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/relay"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// passage is a Connection of a test's own, with a proxy, that leads to the shop's target by a
// way on which the test can hold bytes up; records off the machine can be held up, too.
type passage struct {
	name  string
	proxy *stack.Proxy
	who   caller
	// receiver is the sink off the machine that operations wait for; nil where they do not.
	receiver *stack.Receiver

	mu sync.Mutex // guards the port of the session that is held up
	// port is the session's at the target.
	port  string
	valve *valve
}

func newPassage(t *testing.T, name string, durability v1alpha1.AuditDurability) *passage {
	t.Helper()
	p := &passage{name: name, who: caller{User: "u-" + name}, valve: newValve()}
	t.Cleanup(func() { p.valve.open(false) })
	target := relay.To(net.JoinHostPort(world.Postgres.Host, strconv.Itoa(world.Postgres.Port)))
	way, err := relay.Start(func(ctx context.Context) (net.Conn, error) {
		conn, err := target(ctx)
		return valved{Conn: conn, passage: p}, err
	})
	stacktest.Must(t, err)
	t.Cleanup(func() {
		p.valve.open(false)
		if err := way.Stop(); err != nil {
			t.Error(err)
		}
	})
	if durability == v1alpha1.AuditDurabilityRemote {
		p.receiver, err = world.StartReceiver(t.Context(), name)
		stacktest.Must(t, err)
		stacktest.Must(t, p.receiver.Install(t.Context()))
		t.Cleanup(func() {
			p.free(t)
			if err := errors.Join(p.receiver.Remove(context.WithoutCancel(t.Context())), p.receiver.Stop()); err != nil {
				t.Error(err)
			}
		})
	}
	p.connect(t, way.Address(), durability)
	p.proxy = stacktest.StartProxy(t, world, stack.ProxyOptions{Connection: name})
	policy := stack.Policy(name, stack.Users(p.who.User), talk, approval("change", 300))
	policy.Spec.Connections = []v1alpha1.ConnectionSelector{{Name: name}}
	create(t, policy)
	stacktest.Must(t, world.AwaitPolicy(t.Context(), name, name))
	await(t, "a session by the passage", func(ctx context.Context) error {
		return stacktest.Visit(ctx, world, p.proxy, p.who, "SELECT 1")
	})
	return p
}

// connect makes the Connection, with what it takes to approve there.
func (p *passage) connect(t *testing.T, address string, durability v1alpha1.AuditDurability) {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	stacktest.Must(t, err)
	port, err := strconv.ParseInt(text, 10, 32)
	stacktest.Must(t, err)
	model, err := world.ShopConnection(t.Context())
	stacktest.Must(t, err)
	credential := world.CredentialSecret(p.name+"-credential", p.name, world.Canary)
	credential.StringData["addresses"] = address
	create(t, credential)
	c := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: p.name}, Spec: *model.Spec.DeepCopy()}
	c.Spec.Targets[0].Host, c.Spec.Targets[0].Port = host, int32(port)
	c.Spec.Credential.Secret.Name = credential.Name
	c.Spec.Proxy.External.Port = 0
	if durability != "" {
		c.Spec.Audit = &v1alpha1.AuditSettings{Durability: durability}
	}
	create(t, c)
	create(t, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: p.name + "-approver"},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"connections"}, ResourceNames: []string{p.name}, Verbs: []string{"approve"},
		}},
	})
	for _, user := range []string{"bob", "carol"} {
		bind(t, user, "Role", p.name+"-approver")
	}
}

// held prepares to hold up what a session sends, from the call of what it returns on.
func (p *passage) held(t *testing.T, s *session) func() {
	t.Helper()
	if p.receiver != nil {
		return func() { stacktest.Must(t, p.receiver.Signal(syscall.SIGSTOP)) }
	}
	port := s.Must(t, "SELECT inet_client_port()")[0]
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.port = port
	}
}

// at is the valve at a connection, once.
func (p *passage) at(local net.Addr) *valve {
	_, port, _ := net.SplitHostPort(local.String())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.port == "" || p.port != port {
		return nil
	}
	p.port = ""
	return p.valve
}

// free holds nothing up any more; what was is lost, unless it was delivered.
func (p *passage) free(t *testing.T) {
	t.Helper()
	p.valve.open(false)
	if p.receiver != nil {
		stacktest.Must(t, p.receiver.Signal(syscall.SIGCONT))
	}
}

// marked waits until an approval is marked, and, where its record is what is held up, until
// that is on the proxy's own disk.
func (p *passage) marked(t *testing.T, h *held) *v1alpha1.ApprovalRequest {
	t.Helper()
	var object v1alpha1.ApprovalRequest
	await(t, "the mark", func(ctx context.Context) error {
		if err := world.Admin.Get(ctx, client.ObjectKeyFromObject(h.request), &object); err != nil {
			return err
		}
		if object.Spec.Use == nil {
			return errors.New("not marked yet")
		}
		if p.receiver == nil {
			return nil
		}
		_, err := found(func(d record.Document) bool {
			return d.Type == record.OperationDecided && d.Session == object.Spec.Holder.Session && d.Approval != nil && d.Approval.UID == string(object.UID)
		})
		return err
	})
	return &object
}

// identity is the API server as the Connection's proxies see it.
func (p *passage) identity(t *testing.T) client.WithWatch {
	t.Helper()
	config, err := world.Control.ServiceAccountConfig(t.Context(), stack.Namespace, "doorward-"+p.name)
	stacktest.Must(t, err)
	scheme, err := stack.Scheme()
	stacktest.Must(t, err)
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	stacktest.Must(t, err)
	return c
}
