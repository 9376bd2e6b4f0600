package addons

import (
	"strings"
	"testing"

	"kubeadm-aws/addons/catalog"
	"kubeadm-aws/internal/chartvalues"
)

// Helm ignores a misspelt key without a message, so the setting would be lost.
func TestChartsKnowEveryValueKeyThatIsSet(t *testing.T) {
	for name, release := range install(t, nil, everything).releases() {
		keys, err := chartvalues.Of(catalog.Release(name))
		if err != nil {
			t.Error(err)
			continue
		}
		if unknown := keys.Unknown(valuesOf(release)); len(unknown) > 0 {
			t.Errorf("%s: the chart has no such values: %s", name, strings.Join(unknown, ", "))
		}
	}
}
