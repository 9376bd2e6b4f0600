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
		"certificates -A"
	first, what := time.Time{}, ""
	consider := func(end time.Time, name string) {
		if first.IsZero() || end.Before(first) {
			first, what = end, name
		}
	}
	serving, err := r.api.servingCertificate(ctx)
	if err != nil {
		return broken(look, err)
	}
	consider(serving.NotAfter, "the API server's certificate")
	own, err := x509.ParseCertificate(r.api.TLS.Certificates[0].Certificate[0])
	if err != nil {
		return broken(look, err)
	}
	consider(own.NotAfter, "the kubeconfig's certificate")
	var issued list[conditioned]
	err = r.api.get(ctx, "/apis/cert-manager.io/v1/certificates", &issued)
	if err != nil && !notFound(err) {
		return broken(look, err)
	}
	for _, c := range issued.Items {
		name := "certificate " + c.Metadata.Namespace + "/" + c.Metadata.Name
		if state, ready := is(c.Status.Conditions, "Ready", "True"); !ready {
			return failed("kubectl -n "+c.Metadata.Namespace+" describe certificate "+c.Metadata.Name, "%s is not issued: %s",
				name, state.Message)
		}
		if c.Status.NotAfter != nil {
			consider(*c.Status.NotAfter, name)
		}
	}
	left := first.Sub(r.Now())
	days := int(left.Hours() / 24)
	switch {
	case left < 0:
		return failed(look, "%s ended %s", what, first.Format(time.DateOnly))
	case left < soon:
		return failed(look, "%s ends in %d days, on %s", what, days, first.Format(time.DateOnly))
	}
	return ok("the first to end is %s, in %d days", what, days)
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
