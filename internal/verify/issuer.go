package verify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"kubeadm-aws/config"
)

// discovery is the part of an OpenID Connect discovery document that AWS reads.
type discovery struct {
	Issuer string `json:"issuer"`
	KeySet string `json:"jwks_uri"`
}

// keySet holds the ids of an issuer's keys. The id is the digest of the key.
type keySet struct {
	Keys []struct {
		ID string `json:"kid"`
	} `json:"keys"`
}

func (s keySet) ids() []string {
	var ids []string
	for _, key := range s.Keys {
		ids = append(ids, key.ID)
	}
	slices.Sort(ids)
	return ids
}

// issuerPublished compares the documents by which AWS checks the tokens of pods with those of the API server.
func issuerPublished(ctx context.Context, r *run) finding {
	switch {
	case !r.Config.Identity.Enabled:
		return skipped("identity is off in the settings")
	case r.Hosts:
		return skipped("on hosts of this machine no bucket exists")
	}
	var own discovery
	var ownKeys keySet
	for path, into := range map[string]any{"/" + config.DiscoveryPath: &own, "/" + config.KeySetPath: &ownKeys} {
		if err := r.api.get(ctx, path, into); err != nil {
			return broken("kubectl get --raw "+path, err)
		}
	}
	document := own.Issuer + "/" + config.DiscoveryPath
	look := "curl " + document + "; docs/aws.md, \"Workload identity\""
	var published discovery
	var keys keySet
	if err := r.readPublic(ctx, document, &published); err != nil {
		return failed(look, "AWS refuses the tokens of pods: %v", err)
	}
	if published != own {
		return failed(look, "the published document is of %s with keys at %s, and the API server is %s with keys at %s",
			published.Issuer, published.KeySet, own.Issuer, own.KeySet)
	}
	if err := r.readPublic(ctx, published.KeySet, &keys); err != nil {
		return failed(look, "AWS refuses the tokens of pods: %v", err)
	}
	if !slices.Equal(keys.ids(), ownKeys.ids()) {
		return failed(look, "the published keys are %v, and those of the API server are %v", keys.ids(), ownKeys.ids())
	}
	return ok("%s has the key of the API server", own.Issuer)
}

// stsPatience is how long STS waits for a document.
const stsPatience = 5 * time.Second

// readPublic reads a JSON document as STS does.
func (r *run) readPublic(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, stsPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: r.roots}}}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, answer.Status)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(into); err != nil {
		return fmt.Errorf("%s is not JSON: %w", url, err)
	}
	return nil
}
