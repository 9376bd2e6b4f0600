package addons

import (
	"fmt"

	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// webhookTLS is a serving certificate with its authority, in PEM. The key is secret.
type webhookTLS struct {
	ca, cert, key pulumi.StringOutput
}

// tenYears is in hours. Only the API server uses the certificate. It is replaced with the state, not because of its
// age.
const tenYears = 10 * 365 * 24

// webhookCertificate creates the certificate of a webhook that the API server calls as <service>.<namespace>.svc. If
// the chart created it, every run would give a new one, and calls would fail until all components use it.
func (l loadBalancer) webhookCertificate(service, namespace string) webhookTLS {
	if l.err != nil {
		return webhookTLS{}
	}
	certificate, err := l.newWebhookCertificate(service, namespace)
	if err != nil {
		l.failed(fmt.Errorf("webhook %s: %w", service, err))
	}
	return certificate
}

func (l loadBalancer) newWebhookCertificate(service, namespace string) (certificate webhookTLS, err error) {
	opts := []pulumi.ResourceOption{pulumi.Parent(l.root), pulumi.Provider(l.tls)}
	curve := pulumi.String("P256")
	caKey, err := tls.NewPrivateKey(l.ctx, service+"-ca-key",
		&tls.PrivateKeyArgs{Algorithm: pulumi.String("ECDSA"), EcdsaCurve: curve}, opts...)
	if err != nil {
		return certificate, err
	}
	ca, err := tls.NewSelfSignedCert(l.ctx, service+"-ca", &tls.SelfSignedCertArgs{
		PrivateKeyPem:       caKey.PrivateKeyPem,
		IsCaCertificate:     pulumi.Bool(true),
		ValidityPeriodHours: pulumi.Int(tenYears),
		AllowedUses:         pulumi.ToStringArray([]string{"cert_signing", "digital_signature"}),
		Subject:             &tls.SelfSignedCertSubjectArgs{CommonName: pulumi.String(service + "-ca")},
	}, opts...)
	if err != nil {
		return certificate, err
	}
	key, err := tls.NewPrivateKey(l.ctx, service+"-key",
		&tls.PrivateKeyArgs{Algorithm: pulumi.String("ECDSA"), EcdsaCurve: curve}, opts...)
	if err != nil {
		return certificate, err
	}
	host := service + "." + namespace + ".svc"
	request, err := tls.NewCertRequest(l.ctx, service, &tls.CertRequestArgs{
		PrivateKeyPem: key.PrivateKeyPem,
		DnsNames:      pulumi.ToStringArray([]string{host, service + "." + namespace, host + "." + l.cfg.Cluster.DNSDomain}),
		Subject:       &tls.CertRequestSubjectArgs{CommonName: pulumi.String(host)},
	}, opts...)
	if err != nil {
		return certificate, err
	}
	cert, err := tls.NewLocallySignedCert(l.ctx, service, &tls.LocallySignedCertArgs{
		CaCertPem:           ca.CertPem,
		CaPrivateKeyPem:     caKey.PrivateKeyPem,
		CertRequestPem:      request.CertRequestPem,
		ValidityPeriodHours: pulumi.Int(tenYears),
		AllowedUses:         pulumi.ToStringArray([]string{"server_auth", "digital_signature"}),
	}, opts...)
	if err != nil {
		return certificate, err
	}
	return webhookTLS{ca: ca.CertPem, cert: cert.CertPem, key: pulumi.ToSecret(key.PrivateKeyPem).(pulumi.StringOutput)},
		nil
}
