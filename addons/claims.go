package addons

import (
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
)

// growClaims makes the claims of a release's StatefulSets as large as the user's values say. The release depends on the
// steps, because Helm cannot change the size in a StatefulSet. If the user sets no size, it creates no step.
func (b *builder) growClaims(release string, settings config.Addon) []pulumi.Resource {
	var steps []pulumi.Resource
	for _, v := range config.ChartVolumes {
		size, bytes, ok := v.UserSize(settings)
		if v.Release != release || v.Selector == "" || !ok {
			continue
		}
		env := map[string]pulumi.StringInput{
			"NAMESPACE": pulumi.String(catalog.Release(release).Namespace), "SELECTOR": pulumi.String(v.Selector),
			"SIZE": pulumi.String(size), "BYTES": pulumi.String(strconv.FormatInt(bytes, 10)),
		}
		if v.StatefulSet != "" {
			env["STATEFULSET"] = pulumi.String(v.StatefulSet)
		}
		steps = append(steps, b.step("claims-"+v.Of, cluster.Step{
			Name:    "claims",
			Run:     cluster.Script{Name: "claims", Env: env},
			Minutes: 5,
		}, needs(b.root.NodesReady)))
	}
	return needs(steps...)
}
