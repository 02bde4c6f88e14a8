// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// askBound is how long the API server may take for one question.
const askBound = 10 * time.Second

// path is the only one. What a client wrote is matched as it is: nothing is decoded,
// joined or cleaned on the way to the question about rights.
var path = regexp.MustCompile(`^/v1/namespaces/(` + label + `)/auditsessions/(` + label + `(?:\.` + label + `)*)/recording(\?follow=true)?$`)

// label is a DNS label (RFC 1123), as names of the API server are made of.
const label = `[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?`

// target is the AuditSession that a request names, and whether what comes is wanted, too.
type target struct {
	namespace, name string
	follow          bool
}

func targetOf(r *http.Request) (target, *fault) {
	switch {
	case len(r.Header.Values("Origin")) > 0 || len(r.Header.Values("Sec-Fetch-Site")) > 0:
		return target{}, &fault{http.StatusForbidden, "Forbidden", "no page in a browser is answered here: use \"kubectl doorward replay\"", unproven}
	case r.Method != http.MethodGet:
		return target{}, &fault{http.StatusMethodNotAllowed, "MethodNotAllowed", "a recording can be read, by GET, and nothing else", unproven}
	case r.Header.Get("Upgrade") != "" || r.ContentLength != 0:
		return target{}, &fault{http.StatusBadRequest, "BadRequest", "a recording is asked for without a body, and is no other protocol", unproven}
	}
	found := path.FindStringSubmatch(r.RequestURI)
	if len(r.RequestURI) > 1024 || found == nil || len(found[2]) > 253 {
		return target{}, &fault{http.StatusNotFound, "NotFound", "recordings are at /v1/namespaces/NAMESPACE/auditsessions/NAME/recording", unproven}
	}
	return target{found[1], found[2], found[3] != ""}, nil
}

// bearer is the token of a request. Only one way of giving it is looked at.
func bearer(r *http.Request) (string, *fault) {
	given := r.Header.Values("Authorization")
	if len(given) != 1 {
		return "", unauthorized(fmt.Sprintf("want one header Authorization with a bearer token: %d", len(given)))
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", unauthorized("want a bearer token, one that the API server takes, in the header Authorization")
	}
	if !b64token.MatchString(token) {
		return "", unauthorized("what is in the header Authorization has characters that no bearer token has")
	}
	return token, nil
}

// b64token is what a bearer token is made of (RFC 6750, section 2.1). What is not is no
// cost to the API server, nor to others of the address.
var b64token = regexp.MustCompile(`^[-A-Za-z0-9._~+/]+=*$`)

func unauthorized(message string) *fault {
	return &fault{http.StatusUnauthorized, "Unauthorized", message, unproven}
}

// prove has the API server say whose token it is. It must be one for the API server
// itself: one for another audience is nobody's here.
func (h *Handler) prove(ctx context.Context, token string) (*authenticationv1.UserInfo, *fault) {
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	review := &authenticationv1.TokenReview{ObjectMeta: metav1.ObjectMeta{}, Spec: authenticationv1.TokenReviewSpec{Token: token}}
	if err := h.options.Reviews.Create(ctx, review); err != nil {
		h.options.Logger.Error(errors.New("token reviews fail"), "Cannot prove a reader", "reason", reasonOf(err))
		return nil, &fault{http.StatusServiceUnavailable, "ServiceUnavailable", "the API server cannot say whose token this is: try again", unavailable}
	}
	if !review.Status.Authenticated || review.Status.Error != "" || review.Status.User.Username == "" {
		return nil, unauthorized("the API server does not take this token: it is expired, for another audience, or of another cluster: log in again, and try \"kubectl auth whoami\"")
	}
	return &review.Status.User, nil
}

// permit asks whether the reader may, and returns the authorizer's words.
func (h *Handler) permit(ctx context.Context, who *authenticationv1.UserInfo, what target) (allowed bool, reason string, _ *fault) {
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	extra := map[string]authorizationv1.ExtraValue{}
	for name, values := range who.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: who.Username, Groups: who.Groups, UID: who.UID, Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "get", Group: v1alpha1.GroupName, Version: v1alpha1.GroupVersion.Version, Resource: "auditsessions", Subresource: "recording",
			Namespace: what.namespace, Name: what.name,
		},
	}}
	if err := h.options.Reviews.Create(ctx, review); err != nil {
		h.options.Logger.Error(err, "Cannot ask for a reader's rights")
		return false, "", &fault{http.StatusServiceUnavailable, "ServiceUnavailable", "the API server cannot say whether you may read this: try again", unavailable}
	}
	return review.Status.Allowed && !review.Status.Denied, review.Status.Reason, nil
}

// forbidden says what is missing and how an admin grants it.
func forbidden(who *authenticationv1.UserInfo, what target) *fault {
	return &fault{http.StatusForbidden, "Forbidden", fmt.Sprintf(
		"user %q cannot get auditsessions/recording %q of group %s in namespace %q: an admin grants it with: kubectl -n %s create rolebinding %s --clusterrole=doorward-auditor %s",
		who.Username, what.name, v1alpha1.GroupName, what.namespace, what.namespace, bindingName(who.Username), subject(who.Username)), refused}
}

// bindingName is a name for a user's binding, which no other user's has: a second auditor
// of a namespace needs another.
func bindingName(user string) string {
	sum := sha256.Sum256([]byte(user))
	return "doorward-auditor-" + hex.EncodeToString(sum[:4])
}

// subject is the flag of kubectl create rolebinding that names a user.
func subject(user string) string {
	if account, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok && path.MatchString("/v1/namespaces/"+strings.Replace(account, ":", "/auditsessions/", 1)+"/recording") {
		return "--serviceaccount=" + account
	}
	if strings.ContainsFunc(user, func(r rune) bool { return r == '\'' || !unicode.IsPrint(r) }) {
		return "--user=USER"
	}
	return "--user='" + user + "'"
}
