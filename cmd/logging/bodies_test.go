// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// lines is a writer for several goroutines.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// TestNoBodies is checklist 47 and 49: however verbose a command may be told to be,
// neither the Secrets that it reads nor its token are in its messages.
func TestNoBodies(t *testing.T) {
	const canary, token = "Y2FuYXJ5LXBhc3N3b3Jk", "canary-token"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"shop"},"data":{"password":"`+canary+`"}}`)
	}))
	defer server.Close()
	for _, format := range []string{JSON, Text} {
		for v := range 11 {
			c, flags := New(), flag.NewFlagSet("x", flag.ContinueOnError)
			flags.SetOutput(io.Discard)
			c.AddFlags(flags)
			if flags.Parse([]string{"--log-format=" + format, fmt.Sprintf("-v=%d", v)}) != nil {
				continue // refused
			}
			var out lines
			logger := c.Logger(&out)
			if err := c.Route(logger); err != nil {
				t.Fatal(err)
			}
			clients, err := clientset.NewForConfig(&rest.Config{Host: server.URL, BearerToken: token})
			if err != nil {
				t.Fatal(err)
			}
			// Controllers give their logger to clients in the context.
			if _, err := clients.CoreV1().Secrets("data").Get(logr.NewContext(t.Context(), logger), "shop", metav1.GetOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := clients.CoreV1().Secrets("data").Get(t.Context(), "shop", metav1.GetOptions{}); err != nil {
				t.Fatal(err)
			}
			klog.ClearLogger()
			if text := out.String(); strings.Contains(text, canary) || strings.Contains(text, token) {
				t.Errorf("%s, -v=%d: a secret is in %q", format, v, text)
			}
		}
	}
}
