// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/doorward/doorward/proxy/egress"
	"github.com/doorward/doorward/proxy/recordings/wire"
)

// Times of one reading.
const (
	dialBound = 5 * time.Second
	// recordBound is how long the proxy may take to have the reading on record.
	recordBound = 45 * time.Second
	// stallBound is how long proxy or reader may let the other wait, the reader in all
	// unless they make up for it, wholeBound how long all of it may take.
	stallBound = time.Minute
	wholeBound = time.Hour
	maxStatus  = 16 << 10
)

// errCertificate says that a proxy showed another certificate than its Connection's.
var errCertificate = errors.New("the proxy does not show its Connection's present certificate: it may have been renewed a moment ago")

// Proxies gives recordings of proxies.
type Proxies struct {
	// Key is the snapshot key, by which proxies know the manager.
	Key ed25519.PrivateKey
	// Loopback has proxies on the manager's own host asked, as where all of it runs on
	// one machine.
	Loopback bool
}

// permitted refuses addresses that are no proxy's: whoever may write a report must not
// lead the manager to the services of its surroundings (checklist 25).
func (p *Proxies) permitted(address string) error {
	found, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	addr := found.Addr().Unmap()
	if addr.IsLoopback() && p.Loopback {
		return nil
	}
	return egress.CheckRemote(addr)
}

// post sends a request to the proxy of a place. Nothing is said to whoever has not the
// key of the Connection's serving certificate.
func (p *Proxies) post(ctx context.Context, at *place, asked *wire.Request) (*http.Response, error) {
	body, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	if len(body) > wire.MaxRequest {
		return nil, fmt.Errorf("the reader's groups and attributes have more than %d bytes", wire.MaxRequest)
	}
	identity, err := wire.Identity(p.Key, time.Now())
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, TLSHandshakeTimeout: dialBound, ResponseHeaderTimeout: recordBound, MaxResponseHeaderBytes: maxStatus,
		DialContext: (&net.Dialer{Timeout: dialBound}).DialContext,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{identity},
			// More than a name and a signature is asked for: the very bytes.
			InsecureSkipVerify: true, //nolint:gosec // VerifyConnection
			VerifyConnection: func(state tls.ConnectionState) error {
				if len(state.PeerCertificates) == 0 || !bytes.Equal(state.PeerCertificates[0].Raw, at.certificate.Raw) {
					return errCertificate
				}
				return nil
			},
		},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+at.address+wire.Path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	// The transport itself: no redirect is followed.
	return transport.RoundTrip(r)
}

// request is what a proxy is asked. What is counted as on record now must be given back
// where it is not.
func (h *Handler) request(asked *asking, at *place) *wire.Request {
	r := &wire.Request{
		Namespace: asked.namespace, Name: at.connection.Name, Session: asked.name, Log: at.session.Status.Log.ID, FirstRecord: at.session.Status.Log.FirstRecord,
		Reader: reader(asked.who), ClientAddress: asked.client, Follow: asked.follow, Decision: wire.Deny, Reason: asked.reason, Unrecorded: h.unrecorded.Swap(0),
	}
	if asked.allowed {
		r.Decision = wire.Allow
	}
	return r
}

func reader(who *authenticationv1.UserInfo) wire.Reader {
	r := wire.Reader{Username: who.Username, UID: who.UID, Groups: who.Groups}
	for name, values := range who.Extra {
		if r.Extra == nil {
			r.Extra = map[string][]string{}
		}
		r.Extra[name] = values
	}
	return r
}

// refuse has a refusal put on record.
func (h *Handler) refuse(ctx context.Context, asked *asking, at *place) error {
	request := h.request(asked, at)
	answer, err := h.options.Proxies.post(ctx, at, request)
	if err == nil {
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode == http.StatusNoContent {
			return nil
		}
		err = fmt.Errorf("the proxy answers %d", answer.StatusCode)
	}
	h.unrecorded.Add(request.Unrecorded)
	return err
}

// relay passes on what the proxy gives. Once bytes went, whatever goes wrong breaks the
// answer off, so that nobody takes a part for the whole.
func (h *Handler) relay(w http.ResponseWriter, r *http.Request, asked *asking, at *place) *fault {
	ctx, cancel := context.WithTimeout(r.Context(), wholeBound)
	defer cancel()
	control := http.NewResponseController(w)
	request := h.request(asked, at)
	answer, err := h.options.Proxies.post(ctx, at, request)
	if err != nil {
		h.unrecorded.Add(request.Unrecorded)
		h.options.Logger.Error(err, "Cannot read a recording", "namespace", asked.namespace, "AuditSession", asked.name, "proxy", at.session.Spec.ProxyInstance)
		why := fmt.Sprintf("proxy %q, which has the session's log, cannot be reached by the manager", at.session.Spec.ProxyInstance)
		if errors.Is(err, errCertificate) {
			why = fmt.Sprintf("proxy %q: %v: try again in a minute", at.session.Spec.ProxyInstance, errCertificate)
		}
		return h.elsewhere(ctx, at, http.StatusServiceUnavailable, "ServiceUnavailable", why)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		h.unrecorded.Add(request.Unrecorded)
		return h.declined(ctx, at, answer)
	}
	w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
	w.Header().Set(wire.LogHeader, request.Log)
	w.WriteHeader(http.StatusOK)
	if err := copySteadily(w, control, answer.Body, cancel); err != nil {
		h.options.Counted(broken)
		h.options.Logger.V(1).Info("A recording was not read to its end", "namespace", asked.namespace, "AuditSession", asked.name, "reason", err.Error())
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to break off
	}
	h.options.Counted(served)
	return nil
}

// declined says why the proxy gives nothing.
func (h *Handler) declined(ctx context.Context, at *place, answer *http.Response) *fault {
	var said wire.Status
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxStatus))
	if err == nil {
		err = json.Unmarshal(body, &said)
	}
	if err != nil {
		said.Message = fmt.Sprintf("it answers %d", answer.StatusCode)
	}
	why := fmt.Sprintf("proxy %q: %s", at.session.Spec.ProxyInstance, said.Message)
	switch said.Reason {
	case wire.ReasonGone, wire.ReasonNotFound:
		return h.elsewhere(ctx, at, http.StatusGone, "Gone", why)
	default:
		return &fault{http.StatusServiceUnavailable, "ServiceUnavailable", why, unavailable}
	}
}

// status is a fault in the form of Kubernetes' own.
func status(f *fault) wire.Status { return wire.NewStatus(f.code, f.reason, f.message) }
