// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command dex serves Dex, an OpenID Connect issuer that people run in production, with
// its local password database, from memory. It is configured by a file of JSON, its one
// argument.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	gosundheit "github.com/AppsFlyer/go-sundheit"
	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/server/signer"
	"github.com/dexidp/dex/server/tokens"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"github.com/dexidp/dex/web"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"
)

// config is the file.
type config struct {
	// Issuer is the URL, Listen the address that it is served at.
	Issuer, Listen string
	// Certificate and Key are files in PEM.
	Certificate, Key string
	// Client is the ID of a public client.
	Client string
	People []person
}

// person is somebody who can log in.
type person struct {
	Email, Name, Password string
	Groups                []string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "dex:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: dex FILE")
	}
	content, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var c config
	if err := json.Unmarshal(content, &c); err != nil {
		return fmt.Errorf("cannot read %s: %w", os.Args[1], err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	handler, err := newServer(ctx, &c)
	if err != nil {
		return err
	}
	serving := &http.Server{Addr: c.Listen, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = serving.Close() })
	if err := serving.ListenAndServeTLS(c.Certificate, c.Key); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func newServer(ctx context.Context, c *config) (http.Handler, error) {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	passwords := make([]storage.Password, 0, len(c.People))
	for _, p := range c.People {
		hash, err := bcrypt.GenerateFromPassword([]byte(p.Password), bcrypt.DefaultCost)
		if err != nil {
			return nil, err
		}
		passwords = append(passwords, storage.Password{
			Email: p.Email, Username: p.Name, PreferredUsername: p.Name, UserID: "id-of-" + p.Name, Hash: hash, Groups: p.Groups,
		})
	}
	store := storage.WithStaticClients(unlocked{memory.New(logger)}, []storage.Client{{ID: c.Client, Name: c.Client, Public: true}})
	store = storage.WithStaticPasswords(store, passwords, logger)
	store = storage.WithStaticConnectors(store, []storage.Connector{{ID: "local", Type: "local", Name: "Email", Config: []byte("{}")}})
	const lifetime = time.Hour
	sign, err := (&signer.LocalConfig{KeysRotationPeriod: "6h"}).Open(ctx, store, lifetime, time.Now, logger)
	if err != nil {
		return nil, err
	}
	return server.NewServer(ctx, server.Config{
		Issuer: c.Issuer, Storage: store, Signer: sign, Logger: logger, IDTokensValidFor: lifetime, SkipApprovalScreen: true,
		RefreshTokenPolicy: tokens.NewRefreshStrategy(true, 0, 0, 0, nil),
		AllowedGrantTypes:  []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"},
		Web:                server.WebConfig{WebFS: web.FS(), Issuer: "dex"}, PrometheusRegistry: prometheus.NewRegistry(), HealthChecker: gosundheit.New(),
	})
}

// unlocked lets an update of a refresh token read the storage: in memory, it has one lock,
// which an update holds.
type unlocked struct{ storage.Storage }

func (u unlocked) UpdateRefreshToken(ctx context.Context, id string, update func(storage.RefreshToken) (storage.RefreshToken, error)) error {
	before, err := u.GetRefresh(ctx, id)
	if err != nil {
		return err
	}
	after, err := update(before)
	if err != nil {
		return err
	}
	return u.Storage.UpdateRefreshToken(ctx, id, func(storage.RefreshToken) (storage.RefreshToken, error) { return after, nil })
}
