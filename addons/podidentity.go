package addons

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons/kube"
	"kubeadm-aws/config"
)

// podIdentity gives the pods of the service accounts in the settings a token for AWS and the variables that name it.
// The API server does so itself when a pod is created: no webhook has to answer for it.
type podIdentity struct{ *builder }

// install returns the policy. It returns nil without service accounts, and before Kubernetes 1.36.
func (p podIdentity) install() pulumi.Resource {
	accounts := p.cfg.Identity.ServiceAccounts
	if len(accounts) == 0 || !p.cfg.Release().MutatesPods() {
		return nil
	}
	return admission(p).admissionPolicy("Mutating", "identity", kube.Values{
		// A pod without its credentials would fail later, and its log would not say why.
		"failurePolicy": "Fail",
		// A webhook may add a container after the first call.
		"reinvocationPolicy": "IfNeeded",
		"matchConstraints": kube.Values{
			"namespaceSelector": namespaces("In", namespacesOf(accounts)),
			"resourceRules": []kube.Values{{
				"apiGroups": []string{""}, "apiVersions": []string{"v1"}, "operations": []string{"CREATE"},
				"resources": []string{"pods"},
			}},
		},
		"matchConditions": []kube.Values{
			{"name": "has-a-role", "expression": podAccount + " in " + literal(namesOf(accounts))},
			{"name": "lacks-the-token", "expression": "(object.spec.containers + object.spec.?initContainers.orValue([]))" +
				".exists(c, " + lacksToken + ")"},
		},
		"variables": []kube.Values{
			{"name": "role", "expression": p.roles(accounts).ApplyT(func(arns map[string]string) string {
				return literal(arns) + "[" + podAccount + "]"
			})},
			{"name": "env", "expression": fmt.Sprintf(`[{"name": "AWS_ROLE_ARN", "value": variables.role}, `+
				`{"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": %q}, `+
				`{"name": "AWS_REGION", "value": %[2]q}, {"name": "AWS_DEFAULT_REGION", "value": %[2]q}]`,
				tokenDirectory+"/token", p.cfg.Region)},
		},
		"mutations": []kube.Values{{"patchType": "JSONPatch", "jsonPatch": kube.Values{"expression": tokenPatch()}}},
	}, kube.Values{})
}

// roles are the ARNs of the roles, by namespace/name of the service account.
func (p podIdentity) roles(accounts []config.ServiceAccount) pulumi.StringMapOutput {
	roles := pulumi.StringMap{}
	for _, name := range namesOf(accounts) {
		roles[name] = p.args.Roles[name]
	}
	return roles.ToStringMapOutput()
}

func namesOf(accounts []config.ServiceAccount) []string {
	var names []string
	for _, a := range accounts {
		names = append(names, a.Namespace+"/"+a.Name)
	}
	slices.Sort(names)
	return names
}

func namespacesOf(accounts []config.ServiceAccount) []string {
	var names []string
	for _, a := range accounts {
		names = append(names, a.Namespace)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// literal is a list or a map of texts in CEL, which has the literals of JSON.
func literal[T []string | map[string]string](value T) string {
	text, _ := json.Marshal(value)
	return string(text)
}

const (
	// podAccount is the service account of the pod that is created, as namespace/name.
	podAccount = `(request.namespace + "/" + object.spec.?serviceAccountName.orValue(""))`
	// podTokenVolume differs from the name of the volume in the AWS documents, which pods may already use.
	podTokenVolume = "kubeadm-aws-token"
	// lacksToken is the condition that the container c has no role and no mount of its own.
	lacksToken = `!c.?env.orValue([]).exists(e, e.name in ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"]) && ` +
		`!c.?volumeMounts.orValue([]).exists(m, m.mountPath == "` + tokenDirectory + `")`
)

// tokenPatch adds the volume to the pod, and the variables and the mount to each container that lacks them. A variable
// of the container stays. The maps have values of several types, which CEL takes only as dyn.
func tokenPatch() string {
	volume := fmt.Sprintf(`{"name": dyn(%q), "projected": dyn({"sources": [{"serviceAccountToken": `+
		`{"audience": dyn(%q), "expirationSeconds": dyn(%d), "path": dyn("token")}}]})}`,
		podTokenVolume, config.TokenAudience, tokenSeconds)
	mount := fmt.Sprintf(`{"name": dyn(%q), "mountPath": dyn(%q), "readOnly": dyn(true)}`, podTokenVolume, tokenDirectory)
	const ofContainer = `"/spec/" + kind + "/" + string(i) + `
	return strings.Join([]string{
		appended(`object.spec.?volumes`, `"/spec/volumes"`, `[`+volume+`].filter(v, !object.spec.?volumes.orValue([])`+
			`.exists(o, o.name == v.name))`) + ` +`,
		`["containers", "initContainers"].map(kind, object.spec[?kind].orValue([]).transformList(i, c, ` + lacksToken + `,`,
		appended(`c.?env`, ofContainer+`"/env"`, `variables.env.filter(v, !c.?env.orValue([])`+
			`.exists(o, o.name == v.name))`) + ` +`,
		appended(`c.?volumeMounts`, ofContainer+`"/volumeMounts"`, `[`+mount+`]`),
		`)).flatten().flatten()`,
	}, "\n")
}

// appended is the patch that appends the items to a list of the pod, which may be absent.
func appended(list, path, items string) string {
	return fmt.Sprintf(`(%[1]s.hasValue() ? [] : [JSONPatch{op: "add", path: %[2]s, value: []}]) +
%[3]s.map(x, JSONPatch{op: "add", path: %[2]s + "/-", value: x})`, list, path, items)
}
