package cluster

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// Issuer is where others, such as AWS, find the key of the cluster's service-account tokens.
type Issuer struct {
	// URL is the issuer in new tokens.
	URL pulumi.StringInput
	// Publish stores a JSON document at a path below URL.
	Publish func(path string, document pulumi.StringInput) (pulumi.Resource, error)
}

const issuerFlag = "service-account-issuer"

// keySetURL returns the URL of the key set of an issuer.
func keySetURL(issuer string) string { return issuer + "/" + config.KeySetPath }

// publish publishes the discovery documents of the issuer. Nothing is published without one.
func (s steps) publish() ([]pulumi.Resource, error) {
	issuer := s.args.Issuer
	if issuer == nil {
		return nil, nil
	}
	discovery := issuer.URL.ToStringOutput().ApplyT(discoveryDocument).(pulumi.StringOutput)
	var accepted []any
	for _, n := range s.pki.tokenKeys.Accepted {
		accepted = append(accepted, s.pki.serviceAccounts[n].PublicKeyPem)
	}
	keys := pulumi.All(accepted...).ApplyT(func(all []any) (string, error) {
		public := make([]string, len(all))
		for i, text := range all {
			public[i] = text.(string)
		}
		return keySet(public...)
	}).(pulumi.StringOutput)
	var published []pulumi.Resource
	for _, d := range []struct {
		path     string
		document pulumi.StringOutput
	}{{config.DiscoveryPath, discovery}, {config.KeySetPath, keys}} {
		made, err := issuer.Publish(d.path, d.document)
		if err != nil {
			return nil, err
		}
		published = append(published, made)
	}
	return published, nil
}

// discoveryDocument returns the OpenID Connect discovery document of an issuer.
func discoveryDocument(issuer string) (string, error) {
	text, err := json.Marshal(map[string]any{
		"issuer":                                issuer,
		"jwks_uri":                              keySetURL(issuer),
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"claims_supported":                      []string{"sub", "iss"},
	})
	return string(text), err
}

// keySet returns the JSON Web Key Set of RSA public keys in PEM.
func keySet(publicPEMs ...string) (string, error) {
	keys := make([]any, len(publicPEMs))
	for i, text := range publicPEMs {
		var err error
		if keys[i], err = webKey(text); err != nil {
			return "", fmt.Errorf("the public key of the service accounts %w", err)
		}
	}
	text, err := json.Marshal(map[string]any{"keys": keys})
	return string(text), err
}

// webKey returns the JSON Web Key of an RSA public key in PEM. Its id is the one that the API server writes into its
// tokens.
func webKey(publicPEM string) (map[string]string, error) {
	block, _ := pem.Decode([]byte(publicPEM))
	if block == nil {
		return nil, errors.New("is not PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("is a %T, not RSA", parsed)
	}
	id := sha256.Sum256(block.Bytes)
	encode := base64.RawURLEncoding.EncodeToString
	return map[string]string{
		"use": "sig", "kty": "RSA", "alg": "RS256", "kid": encode(id[:]),
		"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
	}, nil
}

// issuerFlags returns the flags by which the API server signs tokens as the issuer. The first issuer signs. kubeadm's
// own stays accepted, so that running pods keep their access. A repeated flag replaces all of kubeadm's values, so
// each value is listed. The audience of tokens for the API stays kubeadm's: without the flag it would be all issuers.
func issuerFlags(issuer, kubeadms string) []any {
	if issuer == "" {
		return nil
	}
	return []any{
		object{"name": issuerFlag, "value": issuer},
		object{"name": issuerFlag, "value": kubeadms},
		object{"name": "service-account-jwks-uri", "value": keySetURL(issuer)},
		object{"name": "api-audiences", "value": kubeadms},
	}
}
