// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/oidc"
	verifiers "github.com/doorward/doorward/proxy/identity/provider"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/oidctest"
)

// ofGitHub are the claims of a token of GitHub Actions, by the names and forms of
// docs.github.com/en/actions/reference/security/oidc: ids, numbers and truth are strings.
var ofGitHub = map[string]any{
	"jti": "example-id", "sub": "repo:shop/orders:environment:prod", "aud": "doorward", "environment": "prod",
	"repository": "shop/orders", "repository_id": "74", "repository_owner": "shop", "repository_owner_id": "65", "repository_visibility": "private",
	"ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true", "head_ref": "", "base_ref": "", "sha": "example-sha",
	"actor": "octocat", "actor_id": "12", "workflow": "deploy", "event_name": "push", "run_id": "1001", "run_number": "10", "run_attempt": "2",
	"workflow_ref":     "shop/orders/.github/workflows/deploy.yaml@refs/heads/main",
	"job_workflow_ref": "shop/ci/.github/workflows/oidc.yaml@refs/heads/main", "runner_environment": "github-hosted",
}

// ofGitLab are the claims of an ID token of GitLab CI, by docs.gitlab.com/ci/secrets/id_token_authentication.
var ofGitLab = map[string]any{
	"jti": "7f4b0c1e", "sub": "project_path:shop/back/orders:ref_type:branch:ref:main", "aud": "doorward",
	"namespace_id": "72", "namespace_path": "shop/back", "project_id": "20", "project_path": "shop/back/orders", "project_visibility": "private",
	"user_id": "1", "user_login": "sample-user", "user_email": "sample-user@example.com", "user_access_level": "developer",
	"pipeline_id": "574", "pipeline_source": "push", "job_id": "302", "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main",
	"ref_protected": "true", "environment": "prod", "environment_protected": "true", "runner_id": 1, "runner_environment": "gitlab-hosted",
	"sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
}

// sampleProvider is one of config/samples, as the manager compiles it, with its tokens
// from an issuer of the test.
func sampleProvider(t *testing.T, name string, server *oidctest.Server) snapshot.IdentityProvider {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "samples", name))
	if err != nil {
		t.Fatal(err)
	}
	var object v1alpha1.IdentityProvider
	if err := yaml.UnmarshalStrict(text, &object); err != nil {
		t.Fatal(err)
	}
	accepted, verdicts := Providers([]v1alpha1.IdentityProvider{object})
	if len(accepted) != 1 {
		t.Fatalf("%s is not accepted: %+v", name, verdicts)
	}
	p := accepted[0]
	p.OIDC.IssuerURL, p.OIDC.CertificateAuthority, p.OIDC.Algorithms = server.URL(), string(server.CertificateAuthorityPEM), nil
	return p
}

// TestCI: jobs of GitHub Actions and GitLab CI are workloads of their repository; those
// that anybody can start are nobody.
func TestCI(t *testing.T) {
	t.Parallel()
	server, err := oidctest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	cases := map[string]struct {
		reason, sample string
		claims         map[string]any
		changes        map[string]any // nil for a claim that is not there
		user           string
		groups         []string
		kept           []identity.Claim
		says           string
	}{
		"GitHub": {
			reason: "a job of a protected branch", sample: "identityprovider_github.yaml", claims: ofGitHub,
			user: "github:shop/orders:deploy.yaml", groups: []string{"github:environment:shop/orders:prod", "github:owner:shop"},
			kept: []identity.Claim{
				{Name: "github.com/actor", Values: []string{"octocat"}},
				{Name: "github.com/ref", Values: []string{"refs/heads/main"}},
				{Name: "github.com/run", Values: []string{"1001/2"}},
			},
		},
		"GitHubNoEnvironment": {
			reason: "a job without an environment", sample: "identityprovider_github.yaml", claims: ofGitHub, changes: map[string]any{"environment": nil},
			user: "github:shop/orders:deploy.yaml", groups: []string{"github:owner:shop"},
			kept: []identity.Claim{
				{Name: "github.com/actor", Values: []string{"octocat"}},
				{Name: "github.com/ref", Values: []string{"refs/heads/main"}},
				{Name: "github.com/run", Values: []string{"1001/2"}},
			},
		},
		"GitHubOtherOwner": {
			reason: "everybody on GitHub has this issuer", sample: "identityprovider_github.yaml", claims: ofGitHub,
			changes: map[string]any{"repository_owner_id": "66"}, says: "repository_owner_id",
		},
		"GitHubUnprotected": {
			reason: "whoever may push a branch may change the job", sample: "identityprovider_github.yaml", claims: ofGitHub,
			changes: map[string]any{"ref_protected": "false"}, says: "claimValidationRules[1].expression: only jobs of protected",
		},
		"GitHubPullRequest": {
			reason: "a pull request is anybody's", sample: "identityprovider_github.yaml", claims: ofGitHub,
			changes: map[string]any{"event_name": "pull_request"}, says: "claimValidationRules[2].expression: no jobs that a pull request",
		},
		"GitLab": {
			reason: "a job of a protected branch", sample: "identityprovider_gitlab.yaml", claims: ofGitLab,
			user: "gitlab:shop/back/orders", groups: []string{"gitlab:environment:shop/back/orders:prod", "gitlab:namespace:shop/back"},
			kept: []identity.Claim{
				{Name: "gitlab.com/job", Values: []string{"302"}},
				{Name: "gitlab.com/pipeline", Values: []string{"574"}},
				{Name: "gitlab.com/ref", Values: []string{"main"}},
				{Name: "gitlab.com/user", Values: []string{"sample-user"}},
			},
		},
		"GitLabFork": {
			reason: "a fork's project is another's", sample: "identityprovider_gitlab.yaml", claims: ofGitLab,
			changes: map[string]any{"namespace_path": "shop-fork", "project_path": "shop-fork/orders"}, says: "only projects of the group",
		},
		"GitLabUnprotected": {
			reason: "whoever may push a branch may change the job", sample: "identityprovider_gitlab.yaml", claims: ofGitLab,
			changes: map[string]any{"ref_protected": "false"}, says: "ref_protected",
		},
		"GitLabMergeRequest": {
			reason: "a merge request is anybody's", sample: "identityprovider_gitlab.yaml", claims: ofGitLab,
			changes: map[string]any{"pipeline_source": "merge_request_event"}, says: "no jobs of merge requests",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pool := oidc.NewPool(t.Context())
			defer pool.Close()
			verifier, err := verifiers.Verifiers(pool, nil)(t.Context(), []snapshot.IdentityProvider{sampleProvider(t, tc.sample, server)})
			if err != nil {
				t.Fatal(err)
			}
			claims := maps.Clone(tc.claims)
			for name, value := range tc.changes {
				claims[name] = value
				if value == nil {
					delete(claims, name)
				}
			}
			token, err := server.Token(claims)
			if err != nil {
				t.Fatal(err)
			}
			got, err := verifier.Verify(t.Context(), identity.BearerToken(token))
			if tc.says != "" {
				if err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("%s: got %+v, %v, want a rejection with %q", tc.reason, got, err, tc.says)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			want := identity.Principal{UserName: tc.user, Groups: tc.groups, Kind: identity.Workload, Claims: tc.kept}
			if diff := cmp.Diff(want, identity.Principal{UserName: got.UserName, Groups: got.Groups, Kind: got.Kind, Claims: got.Claims}); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}
