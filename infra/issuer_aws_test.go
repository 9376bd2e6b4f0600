package infra

import (
	"strings"
	"testing"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kubeadm-aws/internal/testenv"
)

// TestAnEmulatorOfAWSTakesTheRoles creates the provider and the roles of a stack in an emulator of AWS that this
// project did not write, and takes them with a token. The emulator checks documents and names, not the token.
func TestAnEmulatorOfAWSTakesTheRoles(t *testing.T) {
	w := deploy(t, "dev", settings{"identity": twoAccounts})
	testenv.StartMoto(t)
	cfg, err := awsconfig.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	accounts, tokens := iam.NewFromConfig(cfg), sts.NewFromConfig(cfg)

	provider := w.one("OpenIdConnectProvider", "dev-issuer")
	url := provider.at("url").StringValue()
	made, err := accounts.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{Url: &url,
		ClientIDList: []string{provider.at("clientIdLists").ArrayValue()[0].StringValue()},
		// AWS needs none; the emulator does.
		ThumbprintList: []string{strings.Repeat("f", 40)}})
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for name, r := range w.all("Role") {
		if !strings.HasPrefix(name, "dev-sa-") {
			continue
		}
		trust := strings.ReplaceAll(r.at("assumeRolePolicy").StringValue(), "arn:aws:iam::123456789012:oidc-provider/issuer",
			*made.OpenIDConnectProviderArn)
		role, err := accounts.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p, ok := w.all("RolePolicy")[strings.TrimPrefix(name, "dev-")]; ok {
			document, policyName := p.at("policy").StringValue(), p.at("name").StringValue()
			if _, err := accounts.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: &policyName,
				PolicyDocument: &document}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		session, token := "pod", "e30.e30.e30"
		got, err := tokens.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: role.Role.Arn, RoleSessionName: &session, WebIdentityToken: &token})
		if err != nil || !strings.Contains(*got.AssumedRoleUser.Arn, "assumed-role/"+name+"/pod") {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
		taken++
	}
	if taken != 4 {
		t.Errorf("%d roles were taken, want those of two service accounts and two controllers", taken)
	}
}

// TestTheTrustRefusesOtherTokens evaluates the conditions with the claims of tokens, which TestTokensOfTheIssuer in
// package cluster reads from a real API server.
func TestTheTrustRefusesOtherTokens(t *testing.T) {
	const host = "oidc.example.com/platform"
	trust := assumedByPod("arn:aws:iam::123456789012:oidc-provider/"+host, "https://"+host,
		"system:serviceaccount:default:app").Statement[0]
	for _, c := range []struct {
		issuer, subject, audience string
		allowed                   bool
	}{
		{host, "system:serviceaccount:default:app", "sts.amazonaws.com", true},
		{host, "system:serviceaccount:default:app", "another.example.com", false},
		{host, "system:serviceaccount:default:app2", "sts.amazonaws.com", false},
		{host, "system:serviceaccount:default2:app", "sts.amazonaws.com", false},
		{host, "system:serviceaccount:*:app", "sts.amazonaws.com", false},
		{"oidc.example.com", "system:serviceaccount:default:app", "sts.amazonaws.com", false},
	} {
		claims := map[string][]string{c.issuer + ":sub": {c.subject}, c.issuer + ":aud": {c.audience}}
		if got := holds(t, trust.Condition, claims); got != c.allowed {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
