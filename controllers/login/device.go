// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/pace"
)

const (
	// deviceLife is how long a person has to enter a code, deviceInterval how often the
	// device may ask, in seconds.
	deviceLife     = 10 * time.Minute
	deviceInterval = 5
	// annotationGrant holds, sealed, what a device's credential is made of, until the
	// device has fetched it.
	annotationGrant = "doorward.dev/login-grant"
	// reasonRefused is why the credential of a device is revoked that was never made.
	reasonRefused = "refused on the login page, before it was made"
)

// device is what a device code holds.
type device struct {
	ID        string `json:"i"`
	Challenge string `json:"c,omitempty"`
	// Where is what a proxy has said that the login is for; empty for the plugin's.
	Where where `json:"w,omitzero"`
}

// where is a Connection, as namespace/name, and the address of the client that logs in to it
// at a proxy.
type where struct {
	Connection string `json:"n,omitempty"`
	Client     string `json:"a,omitempty"`
}

// hint tells the page of a user code where the device is.
type hint struct {
	Code       string `json:"c"`
	Address    string `json:"a"`
	Connection string `json:"n,omitempty"`
}

// grant is what a device's credential is made of, and what the person was shown of it.
type grant struct {
	Proof proof `json:"proof"`
	Where where `json:"where,omitzero"`
}

// authorizeDevice is RFC 8628, section 3.1. Nothing is kept of it: the device code holds
// what there is to know, and the user code is derived from it.
func (p *Portal) authorizeDevice(w http.ResponseWriter, r *http.Request) error {
	form, err := formOf(r)
	if err != nil {
		return err
	}
	d := device{ID: randomName(), Challenge: form.Get("code_challenge")}
	if d.Where, err = deviceOf(form); err != nil {
		return err
	}
	if d.Challenge == "" || form.Get("code_challenge_method") != "S256" || !challenge.MatchString(d.Challenge) {
		return refuse(codeInvalidRequest, "want a code_challenge of code_challenge_method S256 (RFC 7636)")
	}
	code, err := p.seal(r.Context(), "device", d, deviceLife)
	if err != nil {
		return err
	}
	user := userCode(d.ID)
	told := hint{Code: user, Address: p.addressOf(r).String()}
	if d.Where != (where{}) {
		told.Address, told.Connection = d.Where.Client, d.Where.Connection
	}
	sealedHint, err := p.seal(r.Context(), "hint", told, deviceLife)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"device_code": code, "user_code": spaced(user), "verification_uri": p.origin() + "/device",
		"verification_uri_complete": p.origin() + "/device?user_code=" + spaced(user) + "&hint=" + url.QueryEscape(sealedHint),
		"expires_in":                int(deviceLife / time.Second), "interval": deviceInterval,
	})
	return nil
}

// devicePage is where a person enters the code. Nothing happens by visiting it: a link that
// holds a code has the person look at it and go on (RFC 8628, section 3.3.1).
func (p *Portal) devicePage(w http.ResponseWriter, r *http.Request) error {
	query, err := single(r.URL.Query())
	if err != nil {
		return err
	}
	return p.showDevice(w, r, http.StatusOK, spaced(typed(query.Get("user_code"))), query.Get("hint"), "")
}

func (p *Portal) showDevice(w http.ResponseWriter, r *http.Request, status int, code, where, fault string) error {
	now, err := p.providers.now(r.Context())
	if err != nil {
		return unavailable(err)
	}
	var names []string
	for _, object := range now.browsers() {
		names = append(names, object.Name)
	}
	// The form leads on to an identity provider.
	leads(w, "https:")
	return p.show(w, status, "device", "Log in a device", struct {
		Code, Hint, Fault string
		Providers         []string
	}{code, where, fault, names})
}

// enterCode begins the login of whoever entered a code.
func (p *Portal) enterCode(w http.ResponseWriter, r *http.Request) error {
	form, err := formOf(r)
	if err != nil {
		return err
	}
	code := typed(form.Get("user_code"))
	keys, err := p.keys.Keys(r.Context())
	if err != nil {
		return unavailable(err)
	}
	who := asking{Device: code}
	var told hint
	if keys.sealer.open("hint", form.Get("hint"), &told, p.now()) == nil && told.Code == code {
		who.Address, who.Connection = told.Address, told.Connection
	} else if !p.codes.Allow(pace.Host(p.addressOf(r)), p.now()) {
		// Whoever follows a link guesses no code, and many people may be behind one address.
		return refuse(codeSlowDown, "too many codes were entered from here: wait some minutes, or open the link that came with the code")
	}
	if code == "" {
		_ = p.note("device", r, refuse(codeInvalidRequest, "mistyped user code"))
		return p.showDevice(w, r, http.StatusBadRequest, "", "", "That is no code: look at the device again.")
	}
	object, _, err := p.pick(r.Context(), form.Get("provider"))
	if err != nil {
		return err
	}
	if object == nil {
		return p.showDevice(w, r, http.StatusBadRequest, spaced(code), form.Get("hint"), "Choose where you log in.")
	}
	return p.begin(w, r, object, who)
}

// approveDevice makes the credential that the device fetches. What it is made of stays
// sealed on the object until then.
func (p *Portal) approveDevice(w http.ResponseWriter, r *http.Request, c *consent) error {
	name := onceName("device", c.Asking.Device)
	given := grant{Proof: c.Proof}
	if c.Asking.Connection != "" {
		given.Where = where{Connection: c.Asking.Connection, Client: c.Asking.Address}
	}
	sealedGrant, err := p.seal(r.Context(), "grant/"+name, given, deviceLife)
	if err != nil {
		return err
	}
	object, err := p.object(r.Context(), &c.Proof, wanted{
		as: asToken(), once: name, address: p.addressOf(r).String(), annotations: map[string]string{annotationGrant: sealedGrant},
	})
	if err != nil {
		return err
	}
	if err := p.create(r.Context(), object); err != nil {
		return faultOf(err).about(&c.Proof)
	}
	p.log.Info("Device approved", append(about(object), "client", p.addressOf(r).String(), "connection", given.Where.Connection, "callerAddress", given.Where.Client)...)
	return p.show(w, http.StatusOK, "message", "You are logged in", message{Text: "The login goes on at the device. Where it waits for Enter, press that."})
}

// refuseDevice keeps that the person has said no, so that the device hears it from every
// replica, and that nobody allows the same code later: as the credential that would have been
// made, revoked from its first moment, until the device code ends.
func (p *Portal) refuseDevice(w http.ResponseWriter, r *http.Request, c *consent) error {
	object, err := p.object(r.Context(), &c.Proof, wanted{
		as: asToken(), once: onceName("device", c.Asking.Device), address: p.addressOf(r).String(),
	})
	if err == nil {
		object.Spec.ExpiresAt = metav1.NewTime(earlier(object.Spec.ExpiresAt.Time, p.now().Add(deviceLife)))
		object.Spec.Revoke = &v1alpha1.Revocation{Reason: reasonRefused, Username: p.options.User}
		err = p.create(r.Context(), object)
	}
	if errors.Is(err, errUsed) {
		return refuse(codeInvalidGrant, "the code was answered before: 'kubectl doorward credentials' lists what was allowed, and 'kubectl doorward credentials revoke NAME' ends it").about(&c.Proof)
	}
	if err != nil {
		// Nothing was allowed all the same: the device waits until its code ends.
		_ = p.note("device", r, faultOf(err).about(&c.Proof))
	} else {
		p.log.Info("Device refused", append(about(object), "client", p.addressOf(r).String(), "connection", c.Asking.Connection, "callerAddress", c.Asking.Address)...)
	}
	return p.show(w, http.StatusOK, "message", "Nothing was allowed", message{Text: "The device gets nothing. Whoever gave you the code may not have been honest."})
}

// redeemDevice is RFC 8628, section 3.4: of all who come with the device code, one gets the
// credential.
func (p *Portal) redeemDevice(ctx context.Context, form url.Values, _ string) (*issued, error) {
	keys, err := p.keys.Keys(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	var d device
	if err := keys.sealer.open("device", form.Get("device_code"), &d, p.now()); err != nil {
		return nil, refuse(codeExpired, "invalid device_code: %v: begin again", err)
	}
	if err := d.checkClient(form); err != nil {
		return nil, err
	}
	if err := proves(form.Get("code_verifier"), d.Challenge); err != nil {
		return nil, err
	}
	name := onceName("device", userCode(d.ID))
	var object v1alpha1.GatewayCredential
	err = p.live.Get(ctx, client.ObjectKey{Name: name}, &object)
	switch {
	case apierrors.IsNotFound(err):
		return nil, refuse(codePending, "nobody has entered the code yet")
	case err != nil:
		return nil, unavailable(err)
	case object.Spec.Revoke != nil && object.Spec.Revoke.Reason == reasonRefused:
		return nil, refuse(codeAccessDenied, "the login was refused in the browser")
	case object.Spec.Revoke != nil:
		return nil, refuse(codeAccessDenied, "the credential was revoked: begin again")
	}
	var given grant
	if err := keys.sealer.open("grant/"+name, object.Annotations[annotationGrant], &given, p.now()); err != nil {
		return nil, errUsed
	}
	found := given.Proof
	if given.Where != d.Where {
		return nil, refuse(codeAccessDenied, "the code was entered without the link that it came with, so that nobody was told what the login is for: begin again, and open the link").about(&found)
	}
	statement, err := statementOf(&found, &object, p.now())
	if err != nil {
		return nil, err
	}
	if d.Where != (where{}) {
		// It is the handshake's at the proxy that has the verifier, and nobody else's.
		statement.Binding = d.Challenge
	}
	if err := p.vouchFor(ctx, &found, statement); err != nil {
		return nil, faultOf(err).about(&found)
	}
	secret, err := keys.authority.Token(statement)
	if err != nil {
		return nil, unavailable(err)
	}
	// The resource version makes it one of several who are here at once.
	delete(object.Annotations, annotationGrant)
	if err := p.live.Update(ctx, &object); apierrors.IsConflict(err) {
		return nil, errUsed
	} else if err != nil {
		return nil, unavailable(err)
	}
	return &issued{object: &object, secret: secret}, nil
}
