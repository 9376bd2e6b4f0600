package infra

import (
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

const identityOn = `{"enabled":true}`

// Everybody may read the two documents by TLS, and nothing else of any bucket.
func TestOnlyTheDiscoveryDocumentsArePublic(t *testing.T) {
	w := deploy(t, "dev", settings{"identity": identityOn})
	for name, p := range w.all("BucketPolicy") {
		for _, s := range parse(t, p.at("policy").StringValue()).Statement {
			if s.Effect != "Allow" {
				continue
			}
			want := []string{"arn:aws:s3:::dev-identity-0a1b2c3/.well-known/openid-configuration",
				"arn:aws:s3:::dev-identity-0a1b2c3/openid/v1/jwks"}
			if name != "identity" || s.Principal != "*" || !slices.Equal(s.Action, []string{"s3:GetObject"}) ||
				!slices.Equal(s.Resource, want) {
				t.Errorf("bucket %s lets %v %v on %v", name, s.Principal, s.Action, s.Resource)
			}
		}
	}
	for name, block := range w.all("BucketPublicAccessBlock") {
		for _, key := range []string{"blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"} {
			open := name == "identity" && (key == "blockPublicPolicy" || key == "restrictPublicBuckets")
			if block.at(key).BoolValue() == open {
				t.Errorf("bucket %s: %s is %v", name, key, !open)
			}
		}
	}
	if b := w.one("BucketV2", "dev-identity"); !b.at("forceDestroy").BoolValue() || b.RegisterRPC.GetRetainOnDelete() {
		t.Error("the bucket of the documents stays when the stack goes")
	}
	for _, kind := range []string{"BucketVersioningV2", "BucketServerSideEncryptionConfigurationV2"} {
		w.one(kind, "identity")
	}
}

// With the user's own issuer the bucket is private, and CloudFront of this account reads it.
func TestTheUsersIssuerHasAPrivateBucket(t *testing.T) {
	const url = "https://oidc.example.com/platform"
	w := deploy(t, "dev", settings{"identity": `{"enabled":true,"issuer":"` + url + `"}`})
	for name, block := range w.all("BucketPublicAccessBlock") {
		for key, value := range block.Inputs {
			if value.IsBool() && !value.BoolValue() {
				t.Errorf("bucket %s: %s is off", name, key)
			}
		}
	}
	s := parse(t, w.one("BucketPolicy", "identity").at("policy").StringValue()).Statement[1]
	principal, _ := s.Principal.(map[string]any)
	if principal["Service"] != "cloudfront.amazonaws.com" || !slices.Equal(s.Condition["ArnLike"]["aws:SourceArn"],
		[]string{"arn:aws:cloudfront::123456789012:distribution/*"}) {
		t.Errorf("%v reads the documents under %v", s.Principal, s.Condition)
	}
	if got := w.one("OpenIdConnectProvider", "dev-issuer").at("url").StringValue(); got != url {
		t.Errorf("the provider is of %s", got)
	}
	if got := await[string](t, w.infra.Issuer.URL); got != url {
		t.Errorf("the issuer is %s", got)
	}
}

func TestTheIssuerIsTheURLOfTheBucket(t *testing.T) {
	for region, host := range map[string]string{"eu-central-1": "s3.eu-central-1.amazonaws.com",
		"us-east-1": "s3.us-east-1.amazonaws.com", "cn-north-1": "s3.cn-north-1.amazonaws.com.cn"} {
		w := deploy(t, "dev", settings{"identity": identityOn, "aws:region": region})
		url := "https://dev-identity-0a1b2c3." + host
		if got := await[string](t, w.infra.Issuer.URL); got != url {
			t.Errorf("the issuer is %s, want %s", got, url)
		}
		provider := w.one("OpenIdConnectProvider", "dev-issuer")
		if got := provider.at("url").StringValue(); got != url {
			t.Errorf("the provider is of %s, want %s", got, url)
		}
		audiences := provider.at("clientIdLists").ArrayValue()
		if len(audiences) != 1 || audiences[0].StringValue() != "sts.amazonaws.com" {
			t.Errorf("the provider takes the audiences %v", audiences)
		}
	}
}

// Controllers exchange tokens while they clean up.
func TestTheIssuerOutlivesTheAddons(t *testing.T) {
	w := deploy(t, "dev", settings{"identity": identityOn})
	var kept []string
	for _, r := range w.infra.DependsOn {
		kept = append(kept, w.urnOf(r))
	}
	for _, r := range []registered{w.one("OpenIdConnectProvider", "dev-issuer"), w.one("BucketPolicy", "identity")} {
		if !slices.Contains(kept, urn(r.MockResourceArgs)) {
			t.Errorf("%s may be deleted while controllers still work", r)
		}
	}
}

func TestNoIssuerByDefault(t *testing.T) {
	w := deploy(t, "dev", nil)
	for _, r := range w.resources {
		if strings.Contains(r.TypeToken, "OpenIdConnect") || strings.HasSuffix(r.Name, "identity") &&
			strings.Contains(r.TypeToken, ":s3/") {
			t.Errorf("%s exists", r)
		}
	}
	if w.infra.Issuer != nil || w.calls["aws:s3/getAccountPublicAccessBlock:getAccountPublicAccessBlock"] != nil {
		t.Error("a stack without identity asks about public buckets or has an issuer")
	}
}

const twoAccounts = `{"enabled":true,"serviceAccounts":[
	{"namespace":"apps","name":"api","policy":{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}},
	{"namespace":"apps","name":"web","policy":"arn:aws:iam::123456789012:policy/web"}]}`

// Each role trusts one subject with one audience, by equality.
func TestARoleTrustsOneServiceAccount(t *testing.T) {
	w := deploy(t, "dev", settings{"identity": twoAccounts, "addons": noControllers})
	host := "dev-identity-0a1b2c3.s3.eu-central-1.amazonaws.com"
	trusted := map[string]string{}
	for name, r := range w.all("Role") {
		if !strings.HasPrefix(name, "dev-sa-") {
			continue
		}
		s := parse(t, r.at("assumeRolePolicy").StringValue()).Statement
		if len(s) != 1 || !slices.Equal(s[0].Action, []string{"sts:AssumeRoleWithWebIdentity"}) || len(s[0].Condition) != 1 {
			t.Fatalf("%s: %+v", name, s)
		}
		if principal, _ := s[0].Principal.(map[string]any); len(principal) != 1 ||
			principal["Federated"] != "arn:aws:iam::123456789012:oidc-provider/issuer" {
			t.Errorf("%s trusts %v", name, s[0].Principal)
		}
		equals := s[0].Condition["StringEquals"]
		if len(equals) != 2 || !slices.Equal(equals[host+":aud"], []string{"sts.amazonaws.com"}) ||
			len(equals[host+":sub"]) != 1 {
			t.Errorf("%s is bound by %v", name, equals)
		}
		trusted[equals[host+":sub"][0]] = name
	}
	api, web := trusted["system:serviceaccount:apps:api"], trusted["system:serviceaccount:apps:web"]
	if len(trusted) != 2 || api == "" || web == "" {
		t.Fatalf("roles of %v", trusted)
	}
	inline := w.one("RolePolicy", strings.TrimPrefix(api, "dev-"))
	document := `{"Statement":[{"Action":"s3:GetObject","Effect":"Allow","Resource":"*"}],"Version":"2012-10-17"}`
	if got := inline.at("policy").StringValue(); got != document {
		t.Errorf("the role may %s", got)
	}
	attached := w.one("RolePolicyAttachment", strings.TrimPrefix(web, "dev-"))
	if got := attached.at("policyArn").StringValue(); got != "arn:aws:iam::123456789012:policy/web" {
		t.Errorf("the role has %s", got)
	}
	if len(w.infra.Issuer.Roles) != 2 || w.infra.Issuer.Roles["apps/api"] == nil {
		t.Errorf("the output has %v", w.infra.Issuer.Roles)
	}
}

func TestRolesOfSimilarNamesDiffer(t *testing.T) {
	names := map[string]bool{}
	for _, a := range []config.ServiceAccount{{Namespace: "a-b", Name: "c"}, {Namespace: "a", Name: "b-c"},
		{Namespace: "a", Name: strings.Repeat("x", 200)}, {Namespace: "a", Name: strings.Repeat("x", 201)}} {
		names[roleName(a)] = true
	}
	if len(names) != 4 {
		t.Errorf("names %v", names)
	}
}
