// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/identity"
)

// MethodKubernetes is the Principal's method of ServiceAccounts.
const MethodKubernetes = "kubernetes"

// The claims that a ServiceAccount's Principal keeps, by the names that the API server
// gives them in a user's extra (k8s.io/apiserver/pkg/authentication/serviceaccount).
const (
	ClaimPodName      = "authentication.kubernetes.io/pod-name"
	ClaimPodUID       = "authentication.kubernetes.io/pod-uid"
	ClaimNodeName     = "authentication.kubernetes.io/node-name"
	ClaimNodeUID      = "authentication.kubernetes.io/node-uid"
	ClaimCredentialID = "authentication.kubernetes.io/credential-id"
)

// ServiceAccountClaims are the names of all of them.
func ServiceAccountClaims() []string {
	return []string{ClaimCredentialID, ClaimNodeName, ClaimNodeUID, ClaimPodName, ClaimPodUID}
}

// ServiceAccounts says how callers are named whose tokens a cluster makes for its
// ServiceAccounts. Prefix is put before user name and groups.
type ServiceAccounts struct {
	Prefix string
}

// maxUnreviewed is how long the proof of a ServiceAccount lasts where nobody is asked whether
// what its token is bound to is still there: a token may say that it lasts for a year.
const maxUnreviewed = time.Hour

// unreviewed is when a proof ends that rests on the token alone.
func unreviewed(now, expiry time.Time) time.Time {
	if end := now.Add(maxUnreviewed); end.Before(expiry) {
		return end
	}
	return expiry
}

// object is a reference in the claim kubernetes.io.
type object struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// bound is the claim kubernetes.io of a ServiceAccount's token, which says what the token
// is bound to (KEP-1205, KEP-4193).
type bound struct {
	Namespace      string  `json:"namespace"`
	ServiceAccount object  `json:"serviceaccount"`
	Pod            *object `json:"pod"`
	Node           *object `json:"node"`
}

const accountPrefix = "system:serviceaccount:"

// fill fills in who the ServiceAccount is, and where it runs.
func (s *ServiceAccounts) fill(c claims, p *identity.Principal) error {
	var to bound
	if err := json.Unmarshal(c["kubernetes.io"], &to); err != nil {
		return errors.New("token is of no ServiceAccount: claim \"kubernetes.io\" is missing or not of its form: ask for one with a projected volume or kubectl create token")
	}
	if to.Namespace == "" || to.ServiceAccount.Name == "" || p.Subject != accountPrefix+to.Namespace+":"+to.ServiceAccount.Name {
		return fmt.Errorf("claims \"sub\" and \"kubernetes.io\" are not of one ServiceAccount: %q", identity.Shorten(p.Subject))
	}
	p.Method, p.Kind = MethodKubernetes, identity.Workload
	p.UserName = s.Prefix + p.Subject
	const group = "system:serviceaccounts"
	p.Groups = []string{s.Prefix + group, s.Prefix + group + ":" + to.Namespace}
	if err := checkLength(p.UserName); err != nil {
		return err
	}
	found := map[string]string{}
	if to.Pod != nil {
		p.BoundTo = to.Pod.UID
		found[ClaimPodName], found[ClaimPodUID] = to.Pod.Name, to.Pod.UID
	}
	if to.Node != nil {
		found[ClaimNodeName], found[ClaimNodeUID] = to.Node.Name, to.Node.UID
	}
	if c.has("jti") {
		id, err := c.text("jti")
		if err != nil {
			return err
		}
		found[ClaimCredentialID] = "JTI=" + id
	}
	for _, name := range ServiceAccountClaims() {
		value := found[name]
		if value == "" {
			p.AbsentClaims = append(p.AbsentClaims, name)
			continue
		}
		if err := checkKept(value); err != nil {
			return fmt.Errorf("claim %q: %w", strings.TrimPrefix(name, "authentication."), err)
		}
		p.Claims = append(p.Claims, identity.Claim{Name: name, Values: []string{value}})
	}
	return nil
}
