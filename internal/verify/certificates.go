package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"time"
)

// soon is how long before its expiry a certificate fails the check.
const soon = 14 * 24 * time.Hour

// certificates checks the API server's certificate, the one in the kubeconfig, and those of cert-manager.
func certificates(ctx context.Context, r *run) finding {
	const look = "on the control plane: kubeadm certs check-expiration (kubeadm certs renew all); kubectl get " +
		"certificates -A; kubectl -n NAMESPACE describe certificate NAME"
	first, what := time.Time{}, ""
	faults := map[string][]string{}
	consider := func(end time.Time, namespace, name string) {
		if first.IsZero() || end.Before(first) {
			first, what = end, name
		}
		switch left := end.Sub(r.Now()); {
		case left < 0:
			faults[namespace] = append(faults[namespace], fmt.Sprintf("%s ended %s", name, end.Format(time.DateOnly)))
		case left < soon:
			faults[namespace] = append(faults[namespace], fmt.Sprintf("%s ends in %d days, on %s", name,
				int(left.Hours()/24), end.Format(time.DateOnly)))
		}
	}
	serving, err := r.api.servingCertificate(ctx)
	if err != nil {
		return broken(look, err)
	}
	consider(serving.NotAfter, "", "the API server's certificate")
	own, err := x509.ParseCertificate(r.api.TLS.Certificates[0].Certificate[0])
	if err != nil {
		return broken(look, err)
	}
	consider(own.NotAfter, "", "the kubeconfig's certificate")
	var issued list[conditioned]
	err = r.api.get(ctx, "/apis/cert-manager.io/v1/certificates", &issued)
	if err != nil && !notFound(err) {
		return broken(look, err)
	}
	for _, c := range issued.Items {
		ns := c.Metadata.Namespace
		name := "certificate " + ns + "/" + c.Metadata.Name
		if state, ready := is(c.Status.Conditions, "Ready", "True"); !ready {
			faults[ns] = append(faults[ns], fmt.Sprintf("%s is not issued: %s", name, state.Message))
		} else if c.Status.NotAfter != nil {
			consider(*c.Status.NotAfter, ns, name)
		}
	}
	if len(faults) > 0 {
		return failedIn(look, faults)
	}
	return ok("the first to end is %s, in %d days", what, int(first.Sub(r.Now()).Hours()/24))
}

// servingCertificate returns the certificate that the API server presents.
func (a *API) servingCertificate(ctx context.Context) (*x509.Certificate, error) {
	server, err := url.Parse(a.Server)
	if err != nil {
		return nil, err
	}
	address := server.Host
	if server.Port() == "" {
		address = net.JoinHostPort(server.Hostname(), "443")
	}
	dialer := tls.Dialer{Config: a.TLS}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	defer conn.Close()
	shown := conn.(*tls.Conn).ConnectionState().PeerCertificates
	if len(shown) == 0 {
		return nil, fmt.Errorf("%s shows no certificate", address)
	}
	return shown[0], nil
}
