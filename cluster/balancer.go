package cluster

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// balancer installs the local balancer of a worker, by which it reaches every control plane under the API's name. Its
// delete runs on a worker of a cluster that keeps one control plane.
func (s members) balancer(h Host) Step {
	var addresses []any
	for _, c := range s.controlPlanes {
		addresses = append(addresses, c.PrivateIP)
	}
	const minutes = 10
	return Step{
		Name: "balancer", Node: h.Name, Minutes: minutes,
		Run: Script{Name: "balancer", Env: map[string]pulumi.StringInput{
			"MACHINE":    h.ProviderID,
			"TIME_LIMIT": pulumi.Sprintf("%d", (minutes-1)*60),
			"ENDPOINT":   pulumi.String(s.args.Endpoint + ":" + apiPort),
			"BALANCER_CONFIG": pulumi.All(addresses...).ApplyT(func(v []any) string {
				return balancerConfig(s.args.Endpoint, s.controlPlanes, v)
			}).(pulumi.StringOutput),
			"BALANCER_CA": s.pki.cluster.cert.CertPem,
			"API_NAME":    pulumi.String(s.scripts.path("api-name")),
		}},
		Delete: &Script{Name: "balancer-stop", Env: map[string]pulumi.StringInput{
			"ENDPOINT": pulumi.String(s.args.Endpoint + ":" + apiPort),
			"API_NAME": pulumi.String(s.scripts.path("api-name")),
		}},
	}
}

// balancerConfig returns haproxy's configuration. It ends its connections to a control plane after three failed checks,
// half a second apart, and clients connect to another one. The first check begins after 2 s at most. A check has 1 s
// for the connection with TLS, so a control plane that is lost without a word is left after 6 s at most. It then has
// 3 s for the answer, because a busy API server is slow: one that answers nothing is left after 12 s at most. A new
// connection waits for a lost control plane for one second, and then goes to another one.
func balancerConfig(endpoint string, controlPlanes []Host, addresses []any) string {
	var b strings.Builder
	fmt.Fprintf(&b, `global
  log stdout format short daemon notice
  maxconn 4000
  hard-stop-after 60s
  user haproxy
  group haproxy

defaults
  mode tcp
  log global
  option redispatch 1
  retries 3
  timeout connect 1s
  timeout check 3s
  timeout client 1h
  timeout server 1h
  option clitcpka
  option srvtcpka

frontend api
  bind 127.0.0.1:%[2]s
  default_backend control-planes

backend control-planes
  balance roundrobin
  option httpchk
  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host %[1]s
  http-check expect status 200
  default-server check check-ssl check-sni %[1]s verify required verifyhost %[1]s ca-file /etc/haproxy/kubernetes-ca.crt
  default-server inter 2s fastinter 500ms downinter 2s fall 3 rise 2 on-marked-down shutdown-sessions
`, endpoint, apiPort)
	for i, h := range controlPlanes {
		fmt.Fprintf(&b, "  server %s %s:%s\n", h.Name, addresses[i], apiPort)
	}
	return b.String()
}
