package cluster

import (
	"encoding/base64"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// apiPort is the API's port, inside and outside the cluster.
const apiPort = "6443"

// kubeconfig returns a secret file with one cluster and one user that contains all certificates and keys.
func kubeconfig(cluster string, host pulumi.StringInput, by authority, user string, c clientCert) pulumi.StringOutput {
	text := pulumi.All(host, by.cert.CertPem, c.cert.CertPem, c.key.PrivateKeyPem).ApplyT(func(v []any) (string, error) {
		return renderKubeconfig(kubeconfigArgs{
			cluster: cluster, host: v[0].(string), user: user,
			authorityPEM: v[1].(string), certPEM: v[2].(string), keyPEM: v[3].(string),
		})
	}).(pulumi.StringOutput)
	return pulumi.ToSecret(text).(pulumi.StringOutput)
}

type kubeconfigArgs struct{ cluster, host, user, authorityPEM, certPEM, keyPEM string }

func renderKubeconfig(args kubeconfigArgs) (string, error) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	context := args.user + "@" + args.cluster
	return renderYAML(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": context,
		"clusters": []any{object{"name": args.cluster, "cluster": object{
			"server":                     "https://" + args.host + ":" + apiPort,
			"certificate-authority-data": b64(args.authorityPEM),
		}}},
		"users": []any{object{"name": args.user, "user": object{
			"client-certificate-data": b64(args.certPEM),
			"client-key-data":         b64(args.keyPEM),
		}}},
		"contexts": []any{object{"name": context, "context": object{"cluster": args.cluster, "user": args.user}}},
	})
}
