// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// askTimeout bounds one question to the API server.
const askTimeout = 30 * time.Second

// The names under which an installation has its parts.
const (
	managerAccount = "doorward-manager"
	managerLease   = "doorward-manager"
)

// examiner is what checks have in common.
type examiner struct {
	config    *rest.Config
	http      *http.Client
	reader    client.Client
	namespace string // the operator's
	// now is the API server's time, as far as it is known.
	now func() time.Time

	check string
	found []Finding
	// lost says that nothing else can be looked at.
	lost bool
}

func newExaminer(flags *genericclioptions.ConfigFlags, namespace string) (*examiner, error) {
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("cannot ask the cluster: %w", err)
	}
	config.Timeout = askTimeout
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		v1alpha1.AddToScheme, admissionregistrationv1.AddToScheme, apiextensionsv1.AddToScheme, authorizationv1.AddToScheme, coordinationv1.AddToScheme, rbacv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	reader, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("cannot ask the cluster: %w", err)
	}
	own, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the cluster: %w", err)
	}
	return &examiner{config: config, http: own, reader: reader, namespace: namespace, now: time.Now}, nil
}

func (e *examiner) ok(format string, args ...any) {
	e.found = append(e.found, Finding{Check: e.check, Status: OK, Message: fmt.Sprintf(format, args...)})
}

func (e *examiner) warn(remedy, format string, args ...any) {
	e.found = append(e.found, Finding{Check: e.check, Status: Warn, Message: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (e *examiner) fail(remedy, format string, args ...any) {
	e.found = append(e.found, Finding{Check: e.check, Status: Fail, Message: fmt.Sprintf(format, args...), Remedy: remedy})
}

// list reads all objects of a kind; false where it has said why not.
func (e *examiner) list(ctx context.Context, list client.ObjectList, resource string) bool {
	err := e.reader.List(ctx, list)
	if err != nil {
		e.unread(err, "list", resource)
	}
	return err == nil
}

// unread says that something could not be looked at, which proves nothing good.
func (e *examiner) unread(err error, verb, resource string) {
	if apierrors.IsForbidden(err) {
		e.warn(fmt.Sprintf("run it as somebody who has the verb %q on %s in all namespaces", verb, resource), "not permitted to %s %s", verb, resource)
		return
	}
	if errors.Is(err, context.Canceled) {
		return
	}
	e.fail("see whether the API server is well, and the definitions are installed", "cannot %s %s: %v", verb, resource, err)
}
