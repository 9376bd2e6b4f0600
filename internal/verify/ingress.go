package verify

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

type ingress struct {
	Metadata meta `json:"metadata"`
	Spec     struct {
		Rules []struct {
			Host string `json:"host"`
			HTTP struct {
				Paths []ingressPath `json:"paths"`
			} `json:"http"`
		} `json:"rules"`
	} `json:"spec"`
	Status struct {
		LoadBalancer struct {
			Ingress []struct {
				Hostname string `json:"hostname"`
			} `json:"ingress"`
		} `json:"loadBalancer"`
	} `json:"status"`
}

type ingressPath struct {
	Path     string `json:"path"`
	PathType string `json:"pathType"`
}

// covers reports whether requests for a path go to the backend of p.
func (p ingressPath) covers(path string) bool {
	prefix, pattern := strings.CutSuffix(p.Path, "*")
	switch {
	case p.PathType == "Prefix":
		whole := strings.TrimSuffix(p.Path, "/")
		return path == whole || strings.HasPrefix(path, whole+"/")
	case p.PathType == "ImplementationSpecific" && pattern:
		return strings.HasPrefix(path, prefix)
	}
	return path == p.Path
}

const albAnnotation = "alb.ingress.kubernetes.io/"

// healthPath is the annotation of an Ingress with the path of the load balancer's health check.
const healthPath = albAnnotation + "healthcheck-path"

// health returns the path of the application's own health check, or "" if a request through the load balancer cannot
// reach it. Two conditions must hold: the paths of the rule cover it, and the load balancer itself checks the same port
// in the same way for the usual codes.
func (i ingress) health(paths []ingressPath) string {
	for _, other := range []string{"success-codes", "healthcheck-port", "backend-protocol-version"} {
		if i.Metadata.Annotations[albAnnotation+other] != "" {
			return ""
		}
	}
	path := i.Metadata.Annotations[healthPath]
	if path == "" || !slices.ContainsFunc(paths, func(p ingressPath) bool { return p.covers(path) }) {
		return ""
	}
	return path
}

// ingressAnswers sends a request to every host of every Ingress through its load balancer. The request is for the path
// of the application's own health check if the load balancer forwards it. A load balancer without a healthy target
// answers 503. One that does not reach its target answers 502 or 504. Any other answer comes from the application, or
// from the rule for unknown hosts, which answers 404.
func ingressAnswers(ctx context.Context, r *run) finding {
	const look = "kubectl describe ingress -A; kubectl describe targetgroupbindings -A; kubectl -n kube-system logs " +
		"deploy/aws-load-balancer-controller"
	if why := r.absent("loadBalancer"); why != "" {
		return skipped("%s", why)
	}
	var all list[ingress]
	if err := r.api.get(ctx, "/apis/networking.k8s.io/v1/ingresses", &all); err != nil {
		return broken(look, err)
	}
	if len(all.Items) == 0 {
		if r.Config.DNS.Domain == "" {
			return skipped("there is no Ingress, because there is no domain")
		}
		return skipped("there is no Ingress")
	}
	faults := map[string][]string{}
	hosts := 0
	for _, i := range all.Items {
		ns := i.Metadata.Namespace
		name := ns + "/" + i.Metadata.Name
		if len(i.Status.LoadBalancer.Ingress) == 0 {
			faults[ns] = append(faults[ns], name+" has no load balancer yet")
			continue
		}
		for _, rule := range i.Spec.Rules {
			if rule.Host == "" {
				continue
			}
			hosts++
			balancer, health := i.Status.LoadBalancer.Ingress[0].Hostname, i.health(rule.HTTP.Paths)
			if err := r.askIngress(ctx, balancer, rule.Host, health); err != nil {
				faults[ns] = append(faults[ns], fmt.Sprintf("%s, %s: %v", name, rule.Host, err))
			}
		}
	}
	if len(faults) > 0 {
		return failedIn(look, faults)
	}
	return ok("%d %s through the load balancer", hosts, plural(hosts, "host answers", "hosts answer"))
}

// askIngress sends one request to a host through its load balancer, whatever DNS returns for the host. health is the
// path of the application's own health check, which has to answer with success. If it is empty, the request is for /,
// and every answer of the application passes.
func (r *run) askIngress(ctx context.Context, balancer, host, health string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	url := "https://" + balancer + "/" + strings.TrimPrefix(health, "/")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Host = host
	client := http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12,
			RootCAs: r.roots}},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch code := answer.StatusCode; {
	case code == http.StatusServiceUnavailable:
		return fmt.Errorf("503: no healthy target")
	case code == http.StatusBadGateway || code == http.StatusGatewayTimeout:
		return fmt.Errorf("%d: the target does not answer", code)
	case health != "" && code >= 400:
		return fmt.Errorf("%d for %s, its own health", code, health)
	}
	return nil
}
