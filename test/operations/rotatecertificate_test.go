// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/doorward/doorward/controllers/ca"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testcert"
)

const (
	servingSecret   = "doorward-" + stack.Connection + "-serving"
	authoritySecret = "doorward-ca"
)

// serving is the certificate that the shop's proxy shows. Whether it is to be
// trusted is what the load finds out at each login.
func serving(ctx context.Context) (*x509.Certificate, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", world.Proxy().Address)
	if err != nil {
		return nil, err
	}
	return testcert.Shown(ctx, conn, "postgresql")
}

// servesAnother waits until the shop's proxy shows another certificate.
func servesAnother(t *testing.T, former *x509.Certificate) (now *x509.Certificate, took time.Duration) {
	t.Helper()
	took = await(t, "another serving certificate at the proxy", func(ctx context.Context) (err error) {
		if now, err = serving(ctx); err == nil && now.Equal(former) {
			err = fmt.Errorf("it shows number %s still", former.SerialNumber)
		}
		return err
	})
	return now, took
}

// TestRotateServingCertificate has the manager issue the serving certificate anew,
// because somebody deletes it and because its time has come.
func TestRotateServingCertificate(t *testing.T) {
	admitLoad(t)
	l := steady(t, taken(t), world.Proxy())
	t.Run("Deleted", func(t *testing.T) {
		former, err := serving(t.Context())
		must(t, err)
		w := l.Open()
		must(t, world.Admin.Delete(t.Context(), secret(stack.Namespace, servingSecret)))
		_, took := servesAnother(t, former)
		unfelt(t, "a serving certificate that was deleted", l, w)
		t.Logf("the proxy shows another %s after the Secret was deleted", short(took))
	})
	t.Run("TwoThirdsOver", func(t *testing.T) {
		former, err := serving(t.Context())
		must(t, err)
		w := l.Open()
		// A certificate like those of the manager, but of five minutes, of which two
		// thirds are over in some seconds.
		const life, left = 5 * time.Minute, 5 * time.Second
		var brief, next *x509.Certificate
		for next == nil || next.Equal(former) {
			// A manager that has read the former certificate just before writes it back.
			begin := time.Now().Add(left - life*2/3)
			certificate, key := certified(t, former, begin, begin.Add(life))
			change(t, secret(stack.Namespace, servingSecret), func(s *corev1.Secret) { s.Data["tls.crt"], s.Data["tls.key"] = certificate, key })
			brief, _ = servesAnother(t, former)
			if !bytes.Equal(encoded(brief), certificate) {
				t.Fatalf("the certificate was replaced at once, and not when two thirds of its life were over at %s", ca.RenewAt(brief))
			}
			next, _ = servesAnother(t, brief)
		}
		due := ca.RenewAt(brief)
		now := time.Now()
		if now.Before(due) || now.After(brief.NotAfter) {
			t.Errorf("renewed at %s, want it between %s and %s", now, due, brief.NotAfter)
		}
		if life := next.NotAfter.Sub(next.NotBefore); life < ca.ServingLife {
			t.Errorf("the renewed certificate is for %s", life)
		}
		unfelt(t, "a serving certificate that was renewed", l, w)
		t.Logf("renewed %s after two thirds of its life were over", short(now.Sub(due)))
	})
}

// certified makes a certificate like another, of the same authority, for another time.
func certified(t *testing.T, like *x509.Certificate, from, to time.Time) (certificate, key []byte) {
	t.Helper()
	data, err := contents(t.Context(), stack.OperatorNamespace, authoritySecret)
	must(t, err)
	authority, signer := parsed(t, data["tls.crt"]), private(t, data["tls.key"])
	held, err := contents(t.Context(), stack.Namespace, servingSecret)
	must(t, err)
	template := *like
	template.NotBefore, template.NotAfter = from, to
	der, err := x509.CreateCertificate(rand.Reader, &template, authority, like.PublicKey, signer)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), held["tls.key"]
}

// TestRotateAuthority lets the time of the authority go by, by dating its
// certificates back: their keys and names stay, so that what callers have of
// them goes on being good.
func TestRotateAuthority(t *testing.T) {
	admitLoad(t)
	former, err := serving(t.Context())
	must(t, err)
	age(t, 0.55, 0)
	var first, next *x509.Certificate
	inBundle := await(t, "the next authority in the bundle", func(ctx context.Context) error {
		data, err := contents(ctx, stack.OperatorNamespace, authoritySecret)
		if err != nil {
			return err
		}
		bundle, err := published(ctx)
		if err != nil {
			return err
		}
		if len(data["next.crt"]) == 0 || !bytes.Contains(bundle, data["next.crt"]) || !bytes.Contains(bundle, data["tls.crt"]) {
			return errors.New("the bundle does not have both")
		}
		first, next = parsed(t, data["tls.crt"]), parsed(t, data["next.crt"])
		return nil
	})
	// Callers who take the bundle now keep it; others look at it each time.
	before, current := steady(t, taken(t), world.Proxy()), steady(t, published, world.Proxy())
	kept, looked := before.Open(), current.Open()
	must(t, world.Admin.Delete(t.Context(), secret(stack.Namespace, servingSecret)))
	shown, _ := servesAnother(t, former)
	if err := shown.CheckSignatureFrom(first); err != nil {
		t.Errorf("the next authority signs as soon as it is in the bundle: %v", err)
	}

	age(t, 0.70, 0.15)
	signing := await(t, "the next authority in the place of the first", func(ctx context.Context) error {
		data, err := contents(ctx, stack.OperatorNamespace, authoritySecret)
		if err != nil {
			return err
		}
		bundle, err := published(ctx)
		if err != nil {
			return err
		}
		now, previous := parsed(t, data["tls.crt"]), data["previous.crt"]
		if !bytes.Equal(now.RawSubjectPublicKeyInfo, next.RawSubjectPublicKeyInfo) || len(previous) == 0 || !bytes.Contains(bundle, previous) {
			return errors.New("the first signs, or is not in the bundle any more")
		}
		return nil
	})
	serves(t, before)
	serves(t, current)
	if still, err := serving(t.Context()); err != nil || !still.Equal(shown) {
		t.Errorf("a certificate of the former authority is replaced before its time: %v", err)
	}
	must(t, world.Admin.Delete(t.Context(), secret(stack.Namespace, servingSecret)))
	renewed, _ := servesAnother(t, shown)
	if err := renewed.CheckSignatureFrom(next); err != nil {
		t.Errorf("another authority than the next signs: %v", err)
	}
	unfelt(t, "the next authority, for who took the bundle before it signed,", before, kept)
	unfelt(t, "the next authority, for who looks at the bundle,", current, looked)
	bundle, err := published(t.Context())
	must(t, err)
	must(t, os.WriteFile(world.CAPath, bundle, 0o600))
	t.Logf("in the bundle %s after half of the life was over, in force %s after two thirds", short(inBundle), short(signing))
}

// TestRotateAuthorityDeleted deletes the authority while the manager runs: it makes
// another, and callers need that one's bundle. TestAuthorityLost does the same to a
// manager that is away.
func TestRotateAuthorityDeleted(t *testing.T) {
	live := login(t, world.Proxy(), "alice", "analysts")
	former, err := os.ReadFile(world.CAPath)
	must(t, err)
	_ = lose(t, authoritySecret)
	took := await(t, "a login with the new bundle", func(ctx context.Context) error {
		bundle, err := published(ctx)
		if err != nil {
			return err
		}
		if bytes.Equal(bundle, former) {
			return errors.New("the bundle is the former")
		}
		must(t, os.WriteFile(world.CAPath, bundle, 0o600))
		return visit(ctx, t, world.Proxy(), "alice", "SELECT 1", "analysts")
	})
	live.must(t, "SELECT 2")
	bundle, err := os.ReadFile(world.CAPath)
	must(t, err)
	must(t, os.WriteFile(world.CAPath, former, 0o600))
	if err := visit(t.Context(), t, world.Proxy(), "alice", "SELECT 3", "analysts"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with the former bundle: %v, want a complaint about the certificate", err)
	}
	must(t, os.WriteFile(world.CAPath, bundle, 0o600))
	t.Logf("callers with the new bundle got in %s after the Secret was deleted; the session that was there went on", short(took))
}

// age has parts of the lives of the authority, and of the next one where that is
// not 0, be over.
func age(t *testing.T, current, next float64) {
	t.Helper()
	change(t, secret(stack.OperatorNamespace, authoritySecret), func(s *corev1.Secret) {
		s.Data["tls.crt"] = aged(t, s.Data["tls.crt"], s.Data["tls.key"], current)
		if next > 0 {
			s.Data["next.crt"] = aged(t, s.Data["next.crt"], s.Data["next.key"], next)
		}
	})
}

// aged is a self-signed certificate as it would be with a part of its life over.
func aged(t *testing.T, certificate, key []byte, part float64) []byte {
	t.Helper()
	template := parsed(t, certificate)
	life := template.NotAfter.Sub(template.NotBefore)
	template.NotBefore = time.Now().Add(-time.Duration(part * float64(life)))
	template.NotAfter = template.NotBefore.Add(life)
	signer := private(t, key)
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encoded(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}

func parsed(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no certificate in %d bytes", len(text))
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	return certificate
}

func private(t *testing.T, text []byte) crypto.Signer {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no key in %d bytes", len(text))
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	signer, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("a key of type %T", key)
	}
	return signer
}
