//go:build e2e

package e2e

import (
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// certificates are an authority of the cluster's own, Pebble, which is an ACME server with a certificate of that
// authority, and the Service site, which leads to what answers a challenge. On AWS the load balancer does.
const certificates = `
apiVersion: v1
kind: Namespace
metadata: {name: certificates, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: self, namespace: certificates}, spec: {selfSigned: {}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: authority, namespace: certificates}
spec: {isCA: true, commonName: authority, secretName: authority, issuerRef: {name: self}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: authority, namespace: certificates}
spec: {ca: {secretName: authority}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: pebble, namespace: certificates}
spec: {secretName: pebble, dnsNames: [pebble.certificates.svc], issuerRef: {name: authority}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: pebble, namespace: certificates}
data:
  pebble.json: |
    {"pebble": {"listenAddress": "0.0.0.0:14000", "managementListenAddress": "0.0.0.0:15000",
     "httpPort": 80, "tlsPort": 443, "certificate": "/tls/tls.crt", "privateKey": "/tls/tls.key", "retryAfter": {"authz": 1, "order": 1},
     "profiles": {"default": {"description": "default", "validityPeriod": 7776000}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pebble, namespace: certificates}
spec:
  selector: {matchLabels: {app: pebble}}
  template:
    metadata: {labels: {app: pebble}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: pebble
          image: ghcr.io/letsencrypt/pebble:2.10.1
          args: [-config, /etc/pebble/pebble.json]
          env: [{name: PEBBLE_VA_NOSLEEP, value: "1"}, {name: PEBBLE_WFE_NONCEREJECT, value: "0"}]
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
          readinessProbe: {httpGet: {path: /dir, port: 14000, scheme: HTTPS}, periodSeconds: 1}
          volumeMounts: [{name: tls, mountPath: /tls}, {name: config, mountPath: /etc/pebble}]
      volumes: [{name: tls, secret: {secretName: pebble}}, {name: config, configMap: {name: pebble}}]
---
apiVersion: v1
kind: Service
metadata: {name: pebble, namespace: certificates}
spec: {selector: {app: pebble}, ports: [{port: 14000}]}
---
apiVersion: v1
kind: Service
metadata: {name: site, namespace: certificates}
spec: {selector: {acme.cert-manager.io/http01-solver: "true"}, ports: [{port: 80, targetPort: 8089}]}
`

// acme is a certificate that Pebble issues, with the solver of the program's ClusterIssuer. %s is the certificate of
// the authority, in base64.
const acme = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: acme, namespace: certificates}
spec:
  acme:
    server: https://pebble.certificates.svc:14000/dir
    caBundle: %s
    privateKeySecretRef: {name: account}
    solvers:
      - http01:
          ingress:
            ingressClassName: alb
            serviceType: NodePort
            ingressTemplate: {metadata: {annotations: {alb.ingress.kubernetes.io/group.order: "-1000"}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: site, namespace: certificates}
spec: {secretName: site, dnsNames: [site.certificates.svc.cluster.local], issuerRef: {name: acme}}
`

// certificatesIssued expects cert-manager to get a certificate by ACME, and a bad one to be refused by its webhook.
func certificatesIssued(t *testing.T, s *stack, c *cluster) {
	if !slices.Contains(realReleases(t), "cert-manager") {
		t.Skip("the mirror has no images of cert-manager")
	}
	s.backend(t) // the mirror, for the image of Pebble
	c.apply(t, certificates)
	eventually(t, 2*time.Minute, "the authority has its certificate", func() error {
		_, err := c.kubectl("--namespace", "certificates", "get", "secret", "authority")
		return err
	})
	authority := c.secretOf(t, "certificates", "authority", "tls.crt")
	eventually(t, 3*time.Minute, "Pebble answers", func() error {
		_, err := c.kubectl("--namespace", "certificates", "rollout", "status", "deployment/pebble", "--timeout", "15s")
		return err
	})
	c.apply(t, fmt.Sprintf(acme, base64.StdEncoding.EncodeToString([]byte(authority))))
	took := eventually(t, 4*time.Minute, "the certificate is issued", func() error {
		out, err := c.kubectl("--namespace", "certificates", "get", "certificate", "site", "--output",
			`jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		if err == nil && out != "True" {
			out, _ = c.kubectl("--namespace", "certificates", "get", "orders,challenges", "--output",
				"jsonpath={.items[*].status}")
			err = fmt.Errorf("it is not ready: %s", out)
		}
		return err
	})
	block, _ := pem.Decode([]byte(c.secretOf(t, "certificates", "site", "tls.crt")))
	if block == nil {
		t.Fatal("the Secret has no certificate")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	const name = "site.certificates.svc.cluster.local"
	if !strings.HasPrefix(leaf.Issuer.CommonName, "Pebble") || leaf.VerifyHostname(name) != nil {
		t.Errorf("the certificate is of %s for %v", leaf.Issuer, leaf.DNSNames)
	}
	t.Logf("FIGURE cert-manager: a certificate by ACME after %.1f s", took.Seconds())
	err = c.tryApply(t, `
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: bad, namespace: certificates}
spec: {secretName: bad, duration: 1m, dnsNames: [a.example.com], issuerRef: {name: acme}}
`)
	if err == nil || !strings.Contains(err.Error(), "webhook") {
		t.Errorf("a certificate of one minute: %v, want a refusal by the webhook", err)
	}
	c.must(t, "delete", "namespace", "certificates", "--wait=false")
}

// realReleases are the releases whose images the mirror has.
func realReleases(t *testing.T) []string {
	t.Helper()
	built := cmp.Or(os.Getenv("MIRROR_DIR"), "/var/cache/kubeadm-aws-mirror")
	text, err := os.ReadFile(filepath.Join(built, "platform", "releases"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}
