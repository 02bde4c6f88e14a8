// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/config/admission"
	"github.com/doorward/doorward/config/crd"
)

const installAgain = "install the chart of the version that you want, definitions first; or update this plugin"

// lookAtDefinitions holds the CustomResourceDefinitions against those of this build.
func lookAtDefinitions(ctx context.Context, e *examiner) {
	wanted, err := crd.Objects()
	if err != nil {
		e.fail("install the plugin again", "the plugin does not know its definitions: %v", err)
		return
	}
	good := 0
	for i := range wanted {
		want, live := &wanted[i], &apiextensionsv1.CustomResourceDefinition{}
		switch err := e.reader.Get(ctx, client.ObjectKeyFromObject(want), live); {
		case apierrors.IsNotFound(err):
			e.fail(installAgain, "definition %s is missing", want.Name)
		case err != nil:
			e.unread(err, "get", "customresourcedefinitions.apiextensions.k8s.io")
			return
		case !established(live):
			e.fail("see \"kubectl describe crd "+want.Name+"\"", "definition %s is not served", want.Name)
		case !sameVersions(live, want):
			e.warn(installAgain, "definition %s is of another version than this plugin", want.Name)
		default:
			good++
		}
	}
	if good == len(wanted) {
		e.ok("%d definitions are served, as this plugin knows them", good)
	}
}

func established(c *apiextensionsv1.CustomResourceDefinition) bool {
	for _, condition := range c.Status.Conditions {
		if condition.Type == apiextensionsv1.Established {
			return condition.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}

// sameVersions compares names and schemas of the versions: what decides which objects
// are let in.
func sameVersions(live, want *apiextensionsv1.CustomResourceDefinition) bool {
	if len(live.Spec.Versions) != len(want.Spec.Versions) {
		return false
	}
	for i := range want.Spec.Versions {
		a, b := &live.Spec.Versions[i], &want.Spec.Versions[i]
		if a.Name != b.Name || a.Served != b.Served || a.Storage != b.Storage || !equality.Semantic.DeepEqual(a.Schema, b.Schema) {
			return false
		}
	}
	return true
}

// lookAtAdmission holds the admission policies and their bindings against those of this
// build: without them, anybody with a right to patch could forge an approval.
func lookAtAdmission(ctx context.Context, e *examiner) {
	wanted, err := admission.Objects("system:serviceaccount:" + e.namespace + ":" + managerAccount)
	if err != nil {
		e.fail("install the plugin again", "the plugin does not know its admission policies: %v", err)
		return
	}
	live := map[string]client.Object{}
	for resource, list := range map[string]client.ObjectList{
		"validatingadmissionpolicies":       &admissionregistrationv1.ValidatingAdmissionPolicyList{},
		"validatingadmissionpolicybindings": &admissionregistrationv1.ValidatingAdmissionPolicyBindingList{},
		"mutatingadmissionpolicies":         &admissionregistrationv1.MutatingAdmissionPolicyList{},
		"mutatingadmissionpolicybindings":   &admissionregistrationv1.MutatingAdmissionPolicyBindingList{},
	} {
		if !e.list(ctx, list, resource+".admissionregistration.k8s.io") {
			return
		}
		if err := meta.EachListItem(list, func(item runtime.Object) error {
			if object, ok := item.(client.Object); ok {
				live[key(object)] = object
			}
			return nil
		}); err != nil {
			e.unread(err, "list", resource)
			return
		}
	}
	const remedy = "install the chart again: until then, no approval counts"
	good := 0
	for _, want := range wanted {
		object, ok := live[key(want)]
		if !ok {
			e.fail(remedy, "%s is missing", key(want))
			continue
		}
		if err := admission.Verify(object, want); err != nil {
			e.fail(remedy, "%s is not as it was installed, or of another version than this plugin", key(want))
			continue
		}
		good++
	}
	if good == len(wanted) {
		e.ok("%d admission policies and bindings are in place, as this plugin knows them", good)
	}
}

// key is kind and name; objects of a list say no kind.
func key(object client.Object) string {
	kind := map[string]string{
		"*v1.ValidatingAdmissionPolicy": "ValidatingAdmissionPolicy", "*v1.ValidatingAdmissionPolicyBinding": "ValidatingAdmissionPolicyBinding",
		"*v1.MutatingAdmissionPolicy": "MutatingAdmissionPolicy", "*v1.MutatingAdmissionPolicyBinding": "MutatingAdmissionPolicyBinding",
	}[fmt.Sprintf("%T", object)]
	return kind + " " + object.GetName()
}

// lookAtManager asks whether a manager is alive: it renews a lease, where managers elect
// one of them.
func lookAtManager(ctx context.Context, e *examiner) {
	lease := &coordinationv1.Lease{}
	err := e.reader.Get(ctx, client.ObjectKey{Namespace: e.namespace, Name: managerLease}, lease)
	switch {
	case apierrors.IsNotFound(err):
		e.warn("see \"kubectl -n "+e.namespace+" get pods\"; give its namespace with --operator-namespace. A manager without leader election has none",
			"no lease %s/%s: no manager is known to run", e.namespace, managerLease)
		return
	case err != nil:
		e.unread(err, "get", "leases.coordination.k8s.io in "+e.namespace)
		return
	}
	seconds := int32(15)
	if lease.Spec.LeaseDurationSeconds != nil {
		seconds = *lease.Spec.LeaseDurationSeconds
	}
	if lease.Spec.RenewTime == nil {
		e.fail("see \"kubectl -n "+e.namespace+" get pods\"", "no manager holds the lease %s/%s", e.namespace, managerLease)
		return
	}
	age := e.now().Sub(lease.Spec.RenewTime.Time)
	switch {
	case age > time.Duration(seconds)*time.Second+skewWarn:
		e.fail("see \"kubectl -n "+e.namespace+" get pods\" and their logs: proxies end all sessions when they have no fresh proof",
			"the manager has not renewed its lease for %s", age.Round(time.Second))
	case age < -skewFail:
		e.fail("synchronize the clocks of the nodes by NTP", "the manager's clock is %s ahead of the API server's", (-age).Round(time.Second))
	default:
		e.ok("a manager runs, and its clock agrees with the API server's")
	}
}
