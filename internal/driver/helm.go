package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"kubeadm-aws/cluster/kubeapi"
	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
)

// takeOver prepares the install of releases that the cluster has and the state has not: those that an interrupted destroy
// dropped from the state and left to die with their nodes. Helm refuses to install over its own record of a release, and
// pulumi-kubernetes has no option for it. Without the record the install adopts the objects, which carry the release's name.
func (s *session) takeOver(ctx context.Context, p *place, installs []state.Release) error {
	if len(installs) == 0 {
		return nil
	}
	silent, err := s.apiSilent(ctx, p)
	if err != nil || silent {
		return err
	}
	var taken []string
	for _, r := range installs {
		found, err := s.deleteHelmRecords(ctx, p, r, "")
		if err != nil {
			return report.Fail(report.ExitFailed, "", "look for an earlier install of %s: %w", r, err)
		}
		if found {
			taken = append(taken, r.String())
		}
	}
	if len(taken) > 0 {
		s.info("Taken over, because the cluster has it and the state has not: " + strings.Join(taken, ", "))
	}
	return nil
}

// deleteHelmRecords deletes the Secrets in which Helm keeps the revisions of a release, those that fit the label selector
// when there is one. The objects of the release stay. found says that there were any.
func (s *session) deleteHelmRecords(ctx context.Context, p *place, r state.Release, selector string) (found bool, err error) {
	if s.op.Cloud == report.CloudSandbox {
		return p.sandbox.Cluster.DeleteHelmRecords(r.Namespace, r.Name, selector != ""), nil
	}
	kubeconfig, err := s.kubeconfig(ctx, p)
	if err != nil || kubeconfig == "" {
		return false, err
	}
	api, err := kubeapi.Open([]byte(kubeconfig))
	if err != nil {
		return false, err
	}
	labels := "owner=helm,name=" + r.Name
	if selector != "" {
		labels += "," + selector
	}
	secrets := "/api/v1/namespaces/" + r.Namespace + "/secrets"
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
		}
	}
	if err := api.Call(ctx, http.MethodGet, secrets+"?labelSelector="+url.QueryEscape(labels), "", nil, &list); err != nil {
		return false, err
	}
	for _, item := range list.Items {
		err := api.Call(ctx, http.MethodDelete, secrets+"/"+item.Metadata.Name, "", nil, nil)
		if err != nil && !kubeapi.IsStatus(err, http.StatusNotFound) {
			return false, err
		}
	}
	return len(list.Items) > 0, nil
}

// kubeconfig is that of the stack's cluster: among its outputs, or, when no up has come to its end, that of the Kubernetes
// provider in the state. Empty when there is none.
func (s *session) kubeconfig(ctx context.Context, p *place) (string, error) {
	outputs, err := p.Outputs(ctx)
	if err != nil {
		return "", s.engine(err, report.NewWatcher(s.log, nil, false))
	}
	if text, _ := outputs["kubeconfig"].Value.(string); text != "" {
		return text, nil
	}
	exported, err := p.pulumi(ctx, "stack", "export", "--show-secrets")
	if err != nil {
		return "", fmt.Errorf("read the state: %w", err)
	}
	st, err := state.Parse([]byte(exported))
	if err != nil {
		return "", err
	}
	for _, r := range st.Resources {
		if r.Type == "pulumi:providers:kubernetes" {
			return plainText(r.Inputs["kubeconfig"])
		}
	}
	return "", nil
}

// plainText is a text of a state that was exported with its secrets.
func plainText(value any) (string, error) {
	secret, isSecret := value.(map[string]any)
	if !isSecret {
		text, _ := value.(string)
		return text, nil
	}
	encoded, _ := secret["plaintext"].(string)
	var text string
	if err := json.Unmarshal([]byte(encoded), &text); err != nil {
		return "", fmt.Errorf("decode a secret of the state: %w", err)
	}
	return text, nil
}
