// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauthv1 "k8s.io/client-go/pkg/apis/clientauthentication/v1"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/stack"
)

// printToken prints a token of the development issuer: for psql as it is, for
// kubectl as an ExecCredential.
func printToken(dir string, args []string) error {
	set := flag.NewFlagSet("token", flag.ContinueOnError)
	groups := set.String("groups", "", "groups of the user, separated by commas")
	audience := set.String("audience", stack.GatewayAudience, "who accepts the token: doorward, kubernetes, or login, the issuer itself")
	lifetime := set.Duration("lifetime", time.Hour, "how long the token is good")
	kind := set.String("kind", "", "Human, Workload or Agent")
	exec := set.Bool("exec-credential", false, "print an ExecCredential, as kubectl's exec plugins do")
	user, err := parse(set, args)
	if err != nil {
		return err
	}
	if user == "" {
		return errors.New("whose token? playground token USER --groups A,B")
	}
	opened, err := stack.OpenIssuer(dir)
	if err != nil {
		return err
	}
	token, err := opened.TokenFor(issuer.Request{
		User: user, Groups: split(*groups), Audience: *audience, Lifetime: *lifetime, Kind: *kind,
	})
	if err != nil {
		return err
	}
	if !*exec {
		fmt.Println(token)
		return nil
	}
	expiry := metav1.NewTime(time.Now().Add(*lifetime))
	return json.NewEncoder(os.Stdout).Encode(clientauthv1.ExecCredential{
		TypeMeta: metav1.TypeMeta{APIVersion: "client.authentication.k8s.io/v1", Kind: "ExecCredential"},
		Status:   &clientauthv1.ExecCredentialStatus{Token: token, ExpirationTimestamp: &expiry},
	})
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
