package sandbox

import (
	"testing"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/sandboxtest"
)

func TestUnknownTypesAndFunctionsAreNamed(t *testing.T) {
	c := sandboxtest.New(t, start(t, Options{}).providers())
	for _, typ := range []string{
		"aws:eks/cluster:Cluster", "kubernetes:example.com/v1:Widget", "command:remote:Elsewhere", "tls:index/oddity:Oddity",
		"random:index/dice:Dice",
	} {
		_, err := c.Try(typ, "x", props.Map{"metadata": map[string]any{"name": "x"}})
		sandboxtest.WantError(t, err, typ)
	}
	for _, tok := range []string{"aws:eks/getCluster:getCluster", "kubernetes:x:y", "tls:index/z:z", "random:index/z:z",
		"command:local:z"} {
		_, err := c.Invoke(tok, props.Map{})
		sandboxtest.WantError(t, err, tok)
	}
}
