package addons

import (
	"cmp"
	"encoding/base64"
	"fmt"

	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumiconfig "github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
)

// applyPassword sets the password in a running service: rabbitmq, redis and grafana read the Secret only when their
// volume is new or when they start. The step runs when the password changes. It first asks the service, so a run
// changes nothing if the service already has the password. It depends on the service, which must be ready.
func (b *builder) applyPassword(service, user string, password pulumi.StringOutput, running ...pulumi.Resource) {
	b.step("password-"+service, cluster.Step{
		Name: "password",
		Run: cluster.Script{Name: "password", Env: map[string]pulumi.StringInput{
			"SERVICE": pulumi.String(service), "USERNAME": pulumi.String(user),
		}},
		Files:   map[string]pulumi.StringInput{"password": password},
		Minutes: 15,
	}, needs(running...))
}

// password returns the user's <name>Password, or a generated one that is kept in the state. Both are secret, and
// exported with the platform's outputs.
func (b *builder) password(name string) pulumi.StringOutput {
	if b.err != nil {
		return pulumi.String("").ToStringOutput()
	}
	if given, ok := b.given(name + "Password"); ok {
		b.root.Passwords[name] = given
		return given
	}
	// Letters and digits only, because connection URLs and configuration files with different syntaxes contain the
	// password.
	generated, err := random.NewRandomPassword(b.ctx, name+"-password", &random.RandomPasswordArgs{
		Length:  pulumi.Int(24),
		Special: pulumi.Bool(false),
	}, pulumi.Parent(b.root), pulumi.Provider(b.random))
	if err != nil {
		b.failed(fmt.Errorf("password of %s: %w", name, err))
		return pulumi.String("").ToStringOutput()
	}
	result := pulumi.ToSecret(generated.Result).(pulumi.StringOutput)
	b.root.Passwords[name] = result
	return result
}

// given returns a secret of the settings. ok is false if it is not set.
func (b *builder) given(name string) (secret pulumi.StringOutput, ok bool) {
	secret, err := pulumiconfig.TrySecret(b.ctx, config.Namespace+":"+name)
	return secret, err == nil
}

// secretArgs describe a Kubernetes Secret.
type secretArgs struct {
	namespace string
	// kind is its type. Empty means Opaque.
	kind   string
	labels map[string]string
	data   map[string]pulumi.StringInput
}

// secret creates a Kubernetes Secret. Add-ons refer to it by name, so that Helm values never contain a password.
func (b *builder) secret(name string, args secretArgs, needs []pulumi.Resource) pulumi.Resource {
	encoded := kube.Values{}
	for key, value := range args.data {
		encoded[key] = pulumi.ToSecret(value.ToStringOutput().ApplyT(func(plain string) string {
			return base64.StdEncoding.EncodeToString([]byte(plain))
		}).(pulumi.StringOutput))
	}
	return b.object("secret-"+name, kube.ObjectArgs{
		APIVersion: "v1",
		Kind:       "Secret",
		Name:       name,
		Namespace:  args.namespace,
		Labels:     args.labels,
		// The settings decide about these keys, also if a service or a user has changed one in the cluster.
		Annotations: map[string]string{"pulumi.com/patchForce": "true"},
		Fields:      kube.Values{"type": cmp.Or(args.kind, "Opaque"), "data": encoded},
	}, needs)
}
