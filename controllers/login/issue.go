// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/proxy/snapshot"
)

const (
	// maxLive is how many credentials of one owner are good at a time. As many may be
	// revoked that snapshots still name: together no more than these name of one owner.
	maxLive    = snapshot.MaxRevokedOfOwner / 2
	maxRevoked = snapshot.MaxRevokedOfOwner / 2
	// maxNamed is how many of them a refusal names.
	maxNamed = 8
	// minLife is the shortest that a credential is worth issuing for.
	minLife = 30 * time.Second
	// annotationRemember holds until when the object is kept at least (RFC 3339): its name
	// says that something that is good once was used.
	annotationRemember = "doorward.dev/remember-until"
	// labelOwner holds the digest of the owner (snapshot.OwnerDigest).
	labelOwner = "doorward.dev/owner"
)

// wanted is what a credential is asked for as.
type wanted struct {
	// as is the form.
	as *credentialForm
	// once names what may be used once; random where it may be used again.
	once string
	// address is where it was asked for from.
	address string
	// annotations of the object.
	annotations map[string]string
}

// issued is a credential.
type issued struct {
	// object is the GatewayCredential; secret what the form makes.
	object *v1alpha1.GatewayCredential
	secret string
}

// onceName is the name of the one credential that something can be used for.
func onceName(kind, what string) string {
	sum := sha256.Sum256([]byte("doorward.dev/login/once/" + kind + "\n" + what))
	return hex.EncodeToString(sum[:16])
}

func randomName() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails on supported platforms (Go 1.24)
	return hex.EncodeToString(id[:])
}

func ownerLabel(owner *v1alpha1.CredentialOwner) string {
	return snapshot.OwnerDigest(owner.Issuer, owner.Subject)
}

// issue makes the GatewayCredential object first: a credential whose object could not be
// made was never issued, and can be revoked from its first moment on.
func (p *Portal) issue(ctx context.Context, of *proof, want wanted) (*issued, error) {
	made, err := p.issueOnce(ctx, of, want)
	if err != nil {
		return nil, faultOf(err).about(of)
	}
	return made, nil
}

func (p *Portal) issueOnce(ctx context.Context, of *proof, want wanted) (*issued, error) {
	object, err := p.object(ctx, of, want)
	if err != nil {
		return nil, err
	}
	keys, err := p.keys.Keys(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	statement, err := statementOf(of, object, p.now())
	if err != nil {
		return nil, err
	}
	if err := p.vouchFor(ctx, of, statement); err != nil {
		return nil, err
	}
	made := &issued{object: object}
	// Signed before the object is there: what cannot be signed leaves none behind.
	if made.secret, err = want.as.sign(keys.authority, statement, of.Owner.Username); err != nil {
		return nil, &fault{code: codeInvalidRequest, text: err.Error()}
	}
	if err := p.create(ctx, object); err != nil {
		return nil, err
	}
	return made, nil
}

// object is the GatewayCredential that will be made.
func (p *Portal) object(ctx context.Context, of *proof, want wanted) (*v1alpha1.GatewayCredential, error) {
	now := p.now().Truncate(time.Second)
	inForce, err := p.providers.now(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	by := inForce.byName[of.Provider]
	if by == nil {
		return nil, refuse(codeInvalidGrant, "IdentityProvider %q is not in force, or has no spec.login any more", of.Provider)
	}
	expiry := earlier(of.NotAfter, now.Add(lifetime(by))).Truncate(time.Second)
	if expiry.Sub(now) < minLife {
		return nil, refuse(codeInvalidGrant, "the proof is too old: credentials of IdentityProvider %q are good for %s from it: log in again", of.Provider, lifetime(by))
	}
	object := &v1alpha1.GatewayCredential{
		ObjectMeta: metav1.ObjectMeta{
			Name:        randomName(),
			Labels:      map[string]string{kit.LabelManagedBy: "doorward", labelOwner: ownerLabel(&of.Owner)},
			Annotations: maps.Clone(want.annotations),
		},
		Spec: v1alpha1.GatewayCredentialSpec{
			Form: want.as.of, PublicKeyDigest: want.as.digest, IdentityProvider: of.Provider, Owner: of.Owner, Actor: of.Actor,
			DerivedFrom: of.DerivedFrom, ClientAddress: want.address, ExpiresAt: metav1.NewTime(expiry),
		},
	}
	if want.once != "" {
		object.Name = want.once
	}
	if of.RememberUntil.After(expiry) {
		metav1.SetMetaDataAnnotation(&object.ObjectMeta, annotationRemember, of.RememberUntil.UTC().Format(time.RFC3339))
	}
	return object, nil
}

// create makes the object, once by its name, within the quota of its owner. It counts again
// when the object is there: of requests at the same time, the last one finds all others.
func (p *Portal) create(ctx context.Context, object *v1alpha1.GatewayCredential) error {
	if err := p.quota(ctx, object); err != nil {
		return err
	}
	err := p.live.Create(ctx, object)
	if apierrors.IsAlreadyExists(err) {
		return errUsed
	}
	if err != nil {
		return unavailable(fmt.Errorf("cannot make GatewayCredential: %w", err))
	}
	if err := p.quota(ctx, object); err != nil {
		// Nobody has what it stands for yet.
		gone := p.live.Delete(context.WithoutCancel(ctx), object, client.Preconditions{UID: &object.UID})
		if client.IgnoreNotFound(gone) != nil {
			return unavailable(fmt.Errorf("cannot delete GatewayCredential %s, which is beyond its owner's quota: %w", object.Name, gone))
		}
		return err
	}
	return nil
}

// quota refuses one more of an owner than is allowed. The object itself does not count.
func (p *Portal) quota(ctx context.Context, object *v1alpha1.GatewayCredential) error {
	var all v1alpha1.GatewayCredentialList
	if err := p.live.List(ctx, &all, client.MatchingLabels{labelOwner: object.Labels[labelOwner]}); err != nil {
		return unavailable(err)
	}
	revoked, good := 0, []v1alpha1.GatewayCredential{}
	for i := range all.Items {
		switch one := &all.Items[i]; {
		case one.Name == object.Name:
		case compile.Revoked(one) && p.now().Before(one.Spec.ExpiresAt.Add(compile.CredentialSkew)):
			revoked++
		case !compile.Revoked(one) && p.now().Before(one.Spec.ExpiresAt.Time):
			good = append(good, *one)
		}
	}
	if revoked >= maxRevoked {
		return refuse(codeInvalidGrant, "%q has %d credentials that were revoked and would not have expired yet, and no more are issued: wait until some expire", object.Spec.Owner.Username, revoked)
	}
	if len(good) < maxLive {
		return nil
	}
	// Owners may not list: whoever has proven to be one is told which there are.
	slices.SortFunc(good, func(a, b v1alpha1.GatewayCredential) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	names := make([]string, 0, maxNamed)
	for i := range min(len(good), maxNamed) {
		names = append(names, good[i].Name)
	}
	return refuse(codeInvalidGrant, "the owner has %d credentials that are good, and no more are issued: run 'kubectl doorward credentials revoke NAME --reason TEXT', or wait until some expire; the eldest are %s",
		len(good), strings.Join(names, " "))
}

// errUsed says that what may be used once was used before.
var errUsed = refuse(codeInvalidGrant, "it was used already, and is good once: log in again")

func statementOf(of *proof, object *v1alpha1.GatewayCredential, now time.Time) (gateway.Statement, error) {
	encoded, err := json.Marshal(of.Claims)
	if err != nil {
		return gateway.Statement{}, unavailable(err)
	}
	return statement(of, object.Name, encoded, object.Spec.ExpiresAt.Time, now), nil
}

func statement(of *proof, id string, encoded json.RawMessage, expiry, now time.Time) gateway.Statement {
	return gateway.Statement{
		ID: id, Provider: of.Provider, Proof: of.ID, Claims: encoded,
		// Proxies' clocks may be a little behind.
		IssuedAt: latest(now.Add(-clockGrace), expiry.Add(-gateway.MaxLifetime)).Truncate(time.Second), ExpiresAt: expiry.Truncate(time.Second),
	}
}

// clockGrace is how far a proxy's clock may be behind the manager's.
const clockGrace = 30 * time.Second

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
