// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package devicelogin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/proxy/pace"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Bounds, so that who is nobody yet has neither the portal flooded nor others kept out. The
// portal takes 10 requests a second of a proxy, which is one host to it.
const (
	// hostPerSecond and hostBurst are how often one host may begin what comes to nothing.
	hostPerSecond = 0.1
	hostBurst     = 6
	maxHosts      = 16384
	// allPerSecond and allBurst are how often all may, who take turns; turnBound is how long
	// one waits for his.
	allPerSecond = 2
	allBurst     = 10
	turnBound    = 5 * time.Second
	// leftAlone is for how long a portal that does not answer is not asked for links, so that
	// nobody waits for it who has a token to paste.
	leftAlone = 5 * time.Second
	// maxWaiting is how many are asked about at a time, each every 5 seconds.
	maxWaiting = 32
)

// Bounds of what a portal may answer.
const (
	maxCode     = 4096
	maxLink     = 1024
	maxExpiry   = 30 * time.Minute
	maxInterval = time.Minute
	// usualInterval is how often to ask where the portal does not say (RFC 8628 section 3.2).
	usualInterval = 5 * time.Second
)

var userCode = regexp.MustCompile(`^[A-Za-z0-9-]{4,32}$`)

// Logins implements access.DeviceLogins. All Connections of a proxy share one, since their
// callers share its pace at the portal.
type Logins struct {
	hosts   *pace.Paces[string]
	turns   *pace.Turns
	waiting room

	mu sync.Mutex // guards what follows
	// client asks the portal at.
	at     snapshot.LoginPortal
	client *http.Client
	// silent is why that has not answered, and until when it is left alone for it.
	silent error
	until  time.Time
}

var _ access.DeviceLogins = (*Logins)(nil)

// New makes Logins.
func New() *Logins {
	return &Logins{hosts: pace.New[string](hostPerSecond, hostBurst, maxHosts), turns: pace.NewTurns(allPerSecond, allBurst)}
}

// Close closes connections that are idle.
func (l *Logins) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil {
		l.client.CloseIdleConnections()
	}
}

// Begin implements access.DeviceLogins.
func (l *Logins) Begin(ctx context.Context, ask access.DeviceAsking) (access.DeviceLogin, error) {
	client, err := l.clientOf(ask.Portal, time.Now())
	if err != nil {
		return nil, err
	}
	address, err := netip.ParseAddr(ask.Client)
	if err != nil {
		return nil, fmt.Errorf("cannot log in by a browser: the client has no IP address: %q", ask.Client)
	}
	host := pace.HostOf(ask.Client)
	if !l.hosts.Allow(host, time.Now()) {
		return nil, access.ErrLoginPace
	}
	places := pace.Places(ask.Client)
	turn, done := context.WithTimeout(ctx, turnBound)
	err = l.turns.Wait(turn, places...)
	done()
	if err != nil {
		return nil, errors.Join(access.ErrLoginPace, err)
	}
	d := &login{logins: l, host: host, network: places[0], portal: portal{client: client, url: ask.Portal.URL}, secret: gateway.NewSecret()}
	now := time.Now()
	answered, err := d.portal.post(ctx, "/device_authorization", url.Values{
		"client_id": {gateway.ProxyClient}, "code_challenge": {gateway.Challenge(d.secret)}, "code_challenge_method": {"S256"},
		gateway.ParameterConnection: {ask.Connection.Namespace + "/" + ask.Connection.Name},
		gateway.ParameterClient:     {address.Unmap().WithZone("").String()},
	})
	if err != nil {
		if ctx.Err() == nil {
			l.leave(ask.Portal, err)
		}
		return nil, err
	}
	if answered.Error == slowDown {
		return nil, access.ErrLoginPace
	}
	if answered.Error != "" {
		return nil, answered.refusal()
	}
	if err := d.begun(answered, now); err != nil {
		return nil, err
	}
	return d, nil
}

// leave leaves a portal alone for a while.
func (l *Logins) leave(at snapshot.LoginPortal, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == at {
		l.silent, l.until = cause, time.Now().Add(leftAlone)
	}
}

// begun takes what the portal has answered.
func (d *login) begun(a *answer, now time.Time) error {
	d.link = a.Complete
	if d.link == "" {
		d.link = a.URI
	}
	expiry := time.Duration(a.ExpiresIn) * time.Second
	d.interval = time.Duration(a.Interval) * time.Second
	if d.interval == 0 {
		d.interval = usualInterval
	}
	switch {
	case a.DeviceCode == "" || len(a.DeviceCode) > maxCode:
		return fmt.Errorf("the login portal gives no device_code of at most %d bytes", maxCode)
	case !userCode.MatchString(a.UserCode):
		return errors.New("the login portal gives no user_code of 4 to 32 letters, digits and hyphens")
	case !below(d.link, d.portal.url):
		return fmt.Errorf("the login portal gives no verification_uri below %q of at most %d bytes", d.portal.url, maxLink)
	case expiry <= 0 || expiry > maxExpiry:
		return fmt.Errorf("the login portal gives a code for %s: want at most %s", expiry, maxExpiry)
	case d.interval < 0 || d.interval > maxInterval:
		return fmt.Errorf("the login portal wants to be asked every %s: want at most %s", d.interval, maxInterval)
	}
	d.deviceCode, d.userCode, d.expiry = a.DeviceCode, a.UserCode, now.Add(expiry)
	return nil
}

// below says whether a link leads to the portal itself, in characters that a terminal shows
// as they are (RFC 3986 section 2).
func below(link, portal string) bool {
	return len(link) <= maxLink && strings.HasPrefix(link, portal+"/") && strings.IndexFunc(link, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) < 0
}
