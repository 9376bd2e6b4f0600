package cluster

import (
	"fmt"
	"path"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// pki is the identity of the cluster. It is in the state, not on a host. So the kubeconfig is known before the first
// machine boots, nodes join without a token, and a new control-plane machine continues the same cluster.
type pki struct {
	pulumi.ResourceState

	cluster, frontProxy, etcd authority
	// serviceAccounts are the accepted keys of tokenKeys, by number.
	serviceAccounts map[int]*tls.PrivateKey
	tokenKeys       TokenKeys
	admin, join     clientCert
	// encryptionBytes are the 32 bytes for Secrets at rest. encryptionKey is their base64 text.
	encryptionBytes *random.RandomBytes
	encryptionKey   pulumi.StringOutput
}

// authority is a self-signed certificate and its key, both in PEM.
type authority struct {
	key  *tls.PrivateKey
	cert *tls.SelfSignedCert
}

type clientCert struct {
	key  *tls.PrivateKey
	cert *tls.LocallySignedCert
}

const (
	// kubeadm binds adminGroup to cluster-admin. Unlike system:masters it is subject to authorization, so removing
	// the binding disables a lost kubeconfig.
	adminGroup = "kubeadm:cluster-admins"
	// joinGroup is the group that kubeadm gives bootstrap tokens: its members may read the configuration and request
	// a node certificate.
	joinGroup = "system:bootstrappers:kubeadm:default-node-token"

	authorityHours = 10 * 365 * 24
	// A client certificate is valid for a year. An `up` in its last 90 days renews it.
	clientHours        = 365 * 24
	clientRenewalHours = 90 * 24
)

// keyProviders are the providers of newPKI.
type keyProviders struct {
	tls    *tls.Provider
	random *random.Provider
}

func newPKI(ctx *pulumi.Context, name string, keys TokenKeys, by keyProviders, parent pulumi.Resource) (*pki, error) {
	p := &pki{tokenKeys: keys, serviceAccounts: map[int]*tls.PrivateKey{}}
	if err := ctx.RegisterComponentResource("kubeadm-aws:cluster:PKI", name+"-pki", p, pulumi.Parent(parent)); err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	opts := []pulumi.ResourceOption{pulumi.Parent(p), pulumi.Provider(by.tls)}
	var err error
	for _, a := range []struct {
		name, commonName string
		into             *authority
	}{
		// kubeadm uses the same common names.
		{"ca", "kubernetes", &p.cluster},
		{"front-proxy-ca", "front-proxy-ca", &p.frontProxy},
		{"etcd-ca", "etcd-ca", &p.etcd},
	} {
		if *a.into, err = newAuthority(ctx, a.name, a.commonName, opts); err != nil {
			return nil, err
		}
	}
	for _, n := range keys.Accepted {
		p.serviceAccounts[n], err = tls.NewPrivateKey(ctx, tokenKeyName(n), &tls.PrivateKeyArgs{
			Algorithm: pulumi.String("RSA"),
			RsaBits:   pulumi.Int(2048),
		}, opts...)
		if err != nil {
			return nil, fmt.Errorf("service account key: %w", err)
		}
	}
	if p.admin, err = newClientCert(ctx, "admin", subject{"kubernetes-admin", adminGroup}, p.cluster, opts); err != nil {
		return nil, err
	}
	if p.join, err = newClientCert(ctx, "join", subject{"kubeadm-aws:join", joinGroup}, p.cluster, opts); err != nil {
		return nil, err
	}
	p.encryptionBytes, err = random.NewRandomBytes(ctx, "encryption-at-rest",
		&random.RandomBytesArgs{Length: pulumi.Int(32)},
		pulumi.Parent(p), pulumi.Provider(by.random))
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	p.encryptionKey = pulumi.ToSecret(p.encryptionBytes.Base64).(pulumi.StringOutput)
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{"clusterAuthority": p.cluster.cert.CertPem})
}

func newKey(ctx *pulumi.Context, name string, opts []pulumi.ResourceOption) (*tls.PrivateKey, error) {
	key, err := tls.NewPrivateKey(ctx, name, &tls.PrivateKeyArgs{
		Algorithm:  pulumi.String("ECDSA"),
		EcdsaCurve: pulumi.String("P256"),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	return key, nil
}

func newAuthority(ctx *pulumi.Context, name, commonName string, opts []pulumi.ResourceOption) (authority, error) {
	key, err := newKey(ctx, name, opts)
	if err != nil {
		return authority{}, err
	}
	cert, err := tls.NewSelfSignedCert(ctx, name, &tls.SelfSignedCertArgs{
		PrivateKeyPem:       key.PrivateKeyPem,
		Subject:             &tls.SelfSignedCertSubjectArgs{CommonName: pulumi.String(commonName)},
		IsCaCertificate:     pulumi.Bool(true),
		SetSubjectKeyId:     pulumi.Bool(true),
		ValidityPeriodHours: pulumi.Int(authorityHours),
		AllowedUses:         pulumi.ToStringArray([]string{"cert_signing", "digital_signature", "key_encipherment"}),
	}, opts...)
	if err != nil {
		return authority{}, fmt.Errorf("certificate %s: %w", name, err)
	}
	return authority{key: key, cert: cert}, nil
}

// subject identifies the user of a client certificate.
type subject struct{ user, group string }

func newClientCert(ctx *pulumi.Context, name string, of subject, by authority,
	opts []pulumi.ResourceOption) (clientCert, error) {
	key, err := newKey(ctx, name, opts)
	if err != nil {
		return clientCert{}, err
	}
	request, err := tls.NewCertRequest(ctx, name, &tls.CertRequestArgs{
		PrivateKeyPem: key.PrivateKeyPem,
		Subject: &tls.CertRequestSubjectArgs{
			CommonName:   pulumi.String(of.user),
			Organization: pulumi.String(of.group),
		},
	}, opts...)
	if err != nil {
		return clientCert{}, fmt.Errorf("certificate request %s: %w", name, err)
	}
	cert, err := tls.NewLocallySignedCert(ctx, name, &tls.LocallySignedCertArgs{
		CertRequestPem:      request.CertRequestPem,
		CaPrivateKeyPem:     by.key.PrivateKeyPem,
		CaCertPem:           by.cert.CertPem,
		ValidityPeriodHours: pulumi.Int(clientHours),
		EarlyRenewalHours:   pulumi.Int(clientRenewalHours),
		AllowedUses:         pulumi.ToStringArray([]string{"digital_signature", "key_encipherment", "client_auth"}),
	}, opts...)
	if err != nil {
		return clientCert{}, fmt.Errorf("certificate %s: %w", name, err)
	}
	return clientCert{key: key, cert: cert}, nil
}

// identity returns every resource from which files are derived. init.sh refuses a running control plane with
// different files, except for the keys of service accounts that its API server does not read.
func (p *pki) identity() []pulumi.Resource {
	all := []pulumi.Resource{
		p.cluster.key, p.cluster.cert,
		p.frontProxy.key, p.frontProxy.cert,
		p.etcd.key, p.etcd.cert,
		p.encryptionBytes,
	}
	for _, n := range p.tokenKeys.Accepted {
		all = append(all, p.serviceAccounts[n])
	}
	return all
}

// files returns the parts of the PKI that a control plane needs, by their path below /etc/kubernetes. kubeadm creates
// the certificates of the components from them.
func (p *pki) files() map[string]pulumi.StringInput {
	signing := p.serviceAccounts[p.tokenKeys.Signing]
	files := map[string]pulumi.StringInput{
		"pki/ca.crt":             p.cluster.cert.CertPem,
		"pki/ca.key":             p.cluster.key.PrivateKeyPem,
		"pki/front-proxy-ca.crt": p.frontProxy.cert.CertPem,
		"pki/front-proxy-ca.key": p.frontProxy.key.PrivateKeyPem,
		"pki/etcd/ca.crt":        p.etcd.cert.CertPem,
		"pki/etcd/ca.key":        p.etcd.key.PrivateKeyPem,
		// kubeadm needs these two, also if the API server has other flags.
		"pki/sa.key": signing.PrivateKeyPem,
		"pki/sa.pub": signing.PublicKeyPem,
		"apiserver/encryption.yaml": p.encryptionKey.ApplyT(func(key string) (string, error) {
			return encryptionConfig(key)
		}).(pulumi.StringOutput),
	}
	if p.tokenKeys.Rotated {
		for n, key := range p.serviceAccounts {
			files["pki/"+path.Base(tokenKeyPath(n, ".pub"))] = key.PublicKeyPem
		}
		files["pki/"+path.Base(tokenKeyPath(p.tokenKeys.Signing, ".key"))] = signing.PrivateKeyPem
	}
	return files
}
