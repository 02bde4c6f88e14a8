// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package idp logs in at real identity providers, as people do, and proves what they say
// with the product's own code: Dex (a folder of its own) and oidc-provider (node).
package idp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
)

const (
	// maxPages bounds the forms that are filled in on one visit.
	maxPages = 10
	// maxPage bounds a page, in bytes.
	maxPage = 1 << 20
	// patience bounds one request.
	patience = time.Minute
)

// Browser is a person at a browser without scripts, who fills in every form with her
// name and password.
type Browser struct {
	client    *http.Client
	transport *http.Transport
	// fields are what is typed into fields of these names; others keep their value.
	fields map[string]string
}

// NewBrowser trusts the authorities in PEM, and types the name and the password where
// they are asked for.
func NewBrowser(authorities []byte, name, password string) (*Browser, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authorities) {
		return nil, errors.New("no authorities in PEM")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return &Browser{
		client:    &http.Client{Jar: jar, Timeout: patience, Transport: transport},
		transport: transport,
		fields:    map[string]string{"login": name, "password": password},
	}, nil
}

// Dial has the browser reach servers another way.
func (b *Browser) Dial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	b.transport.DialContext = dial
}

// Type has a text typed into the fields of a name.
func (b *Browser) Type(field, value string) { b.fields[field] = value }

// Visit opens a URL, fills in the forms that come, and returns the text of the page where
// there is none.
func (b *Browser) Visit(ctx context.Context, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	for range maxPages {
		at, page, err := b.open(request)
		if err != nil {
			return "", err
		}
		form := find(page, "form")
		if form == nil {
			return text(page), nil
		}
		if request, err = b.submit(ctx, at, form); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("there is no end of forms at %s", address)
}

func (b *Browser) open(request *http.Request) (*url.URL, *html.Node, error) {
	response, err := b.client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	page, err := html.Parse(io.LimitReader(response.Body, maxPage))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return nil, nil, fmt.Errorf("%s answers %s: %s", response.Request.URL, response.Status, text(page))
	}
	return response.Request.URL, page, nil
}

// submit is the request that a form makes.
func (b *Browser) submit(ctx context.Context, at *url.URL, form *html.Node) (*http.Request, error) {
	to, err := at.Parse(attribute(form, "action"))
	if err != nil {
		return nil, err
	}
	values := url.Values{}
	for node := range form.Descendants() {
		name := attribute(node, "name")
		if node.Type != html.ElementNode || name == "" || (node.Data != "input" && node.Data != "button") {
			continue
		}
		value, typed := b.fields[name]
		if !typed {
			value = attribute(node, "value")
		}
		if kind := attribute(node, "type"); kind == "checkbox" || values.Has(name) || (name == "abort" && kind == "submit") {
			continue
		}
		values.Set(name, value)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return request, nil
}

func find(page *html.Node, element string) *html.Node {
	for node := range page.Descendants() {
		if node.Type == html.ElementNode && node.Data == element {
			return node
		}
	}
	return nil
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// text is what a page says.
func text(page *html.Node) string {
	var words []string
	for node := range page.Descendants() {
		if node.Type == html.TextNode && node.Parent.Data != "style" && node.Parent.Data != "script" {
			words = append(words, strings.Fields(node.Data)...)
		}
	}
	return strings.Join(words, " ")
}
