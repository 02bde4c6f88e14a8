// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the pages
	"encoding/base64"
	"html/template"
	"net/http"
)

var (
	//go:embed pages/pages.html
	pageText string
	//go:embed pages/style.css
	pageStyle string

	pageTemplates = template.Must(template.New("pages").Parse(pageText))
	// policy lets a page use its own style and nothing else, run nothing, and be framed by
	// nobody. Where its forms lead is added to it.
	policy = "default-src 'none'; style-src 'sha256-" + digestOf(pageStyle) + "'; base-uri 'none'; frame-ancestors 'none'; form-action "
)

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// shown is what a page is made of.
type shown struct {
	Title string
	Data  any
	Style template.CSS
}

// message is the data of the page message.
type message struct {
	Text  string
	Alert bool
}

// leads says where the forms of a page lead besides the portal itself: browsers hold the
// redirect that follows a form against it.
func leads(w http.ResponseWriter, to string) {
	w.Header().Set("Content-Security-Policy", policy+"'self' "+to)
}

// show writes a page.
func (p *Portal) show(w http.ResponseWriter, status int, name, title string, data any) error {
	var page bytes.Buffer
	err := pageTemplates.ExecuteTemplate(&page, name, shown{Title: title, Data: data, Style: template.CSS(pageStyle)}) //nolint:gosec // a file of ours
	if err != nil {
		return unavailable(err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // the client that went away learns nothing of it
	return nil
}

// page answers people.
func (p *Portal) page(name string, serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := serve(w, r)
		if err == nil {
			return
		}
		f := p.note(name, r, err)
		if err := p.show(w, f.status(), "message", "You are not logged in", message{Text: f.text, Alert: true}); err != nil {
			http.Error(w, "You are not logged in.", http.StatusInternalServerError)
		}
	})
}

func (p *Portal) home(w http.ResponseWriter, _ *http.Request) error {
	return p.show(w, http.StatusOK, "home", "Log in", p.origin())
}
