package addons

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

const (
	// tokenDirectory is where a controller finds the token that it exchanges for AWS credentials.
	tokenDirectory = "/var/run/secrets/aws"
	// tokenSeconds is how long a token is valid. The kubelet renews it after four fifths of that time.
	tokenSeconds = 3600
)

// webIdentity is how a controller gets the credentials of its own IAM role: every AWS SDK exchanges the token in the
// named file for them. A pod needs neither the metadata service nor the host's network for that.
type webIdentity struct{ role pulumi.StringInput }

// webIdentity returns nil if the service account has no role of its own.
func (a Args) webIdentity(account config.ServiceAccount) *webIdentity {
	role, ok := a.Roles[account.Namespace+"/"+account.Name]
	if !ok {
		return nil
	}
	return &webIdentity{role}
}

// variables are the environment of the container, by name.
func (w webIdentity) variables() kube.Values {
	return kube.Values{"AWS_ROLE_ARN": w.role, "AWS_WEB_IDENTITY_TOKEN_FILE": tokenDirectory + "/token"}
}

// env is the environment of the container in the form of Kubernetes.
func (w webIdentity) env() []kube.Values {
	var env []kube.Values
	for _, name := range []string{"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		env = append(env, kube.Values{"name": name, "value": w.variables()[name]})
	}
	return env
}

func (w webIdentity) volumes() []kube.Values {
	return []kube.Values{{"name": "aws-token", "projected": kube.Values{"sources": []kube.Values{{
		"serviceAccountToken": kube.Values{
			"audience": config.TokenAudience, "expirationSeconds": tokenSeconds, "path": "token",
		},
	}}}}}
}

func (w webIdentity) mounts() []kube.Values {
	return []kube.Values{{"name": "aws-token", "mountPath": tokenDirectory, "readOnly": true}}
}
