package infra

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Keys are the SSH keys: one for the user's logins and one host key for each node.
type Keys struct {
	pulumi.ResourceState

	User *tls.PrivateKey
	Pair *ec2.KeyPair
	// Hosts are the host keys by node name. A replaced node keeps its key.
	Hosts map[string]*tls.PrivateKey
}

func newKeys(s *deployer, _ none) (*Keys, error) {
	k := &Keys{Hosts: map[string]*tls.PrivateKey{}}
	opts, err := s.component("Keys", "keys", k)
	if err != nil {
		return nil, err
	}
	provider, err := tls.NewProvider(s.ctx, "ssh", &tls.ProviderArgs{}, opts...)
	if err != nil {
		return nil, fmt.Errorf("tls provider: %w", err)
	}
	generate := func(name string) (*tls.PrivateKey, error) {
		return tls.NewPrivateKey(s.ctx, name, &tls.PrivateKeyArgs{Algorithm: pulumi.String("ED25519")},
			with(opts, pulumi.Provider(provider))...)
	}
	if k.User, err = generate("ssh-user"); err != nil {
		return nil, fmt.Errorf("ssh user key: %w", err)
	}
	k.Pair, err = ec2.NewKeyPair(s.ctx, s.named("ssh"), &ec2.KeyPairArgs{
		PublicKey: trimmed(k.User.PublicKeyOpenssh),
		Tags:      s.tags("ssh"),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("key pair: %w", err)
	}
	for _, node := range s.cfg.Nodes {
		if k.Hosts[node.Name], err = generate("ssh-host-" + node.Name); err != nil {
			return nil, fmt.Errorf("ssh host key of %s: %w", node.Name, err)
		}
	}
	return k, s.ctx.RegisterResourceOutputs(k, pulumi.Map{"keyName": k.Pair.KeyName})
}
