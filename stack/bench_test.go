package stack_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
)

// BenchmarkSimulation runs up, an up without changes and destroy for stacks of several sizes with all add-ons. Figures
// are seconds.
func BenchmarkSimulation(b *testing.B) {
	for _, size := range []int{4, 20, 100} {
		b.Run(fmt.Sprintf("nodes=%d", size), func(b *testing.B) {
			nodes := []any{
				map[string]any{"name": "master", "role": "control-plane", "instanceType": "t3.large"},
				map[string]any{"name": "storage", "role": "worker", "instanceType": "t3.large", "zone": 2,
					"labels": map[string]any{"workload": "storage"}},
			}
			for i := len(nodes); i < size; i++ {
				nodes = append(nodes, map[string]any{"name": fmt.Sprintf("worker-%d", i), "role": "worker",
					"instanceType": "t3.medium", "zone": i % 3})
			}
			for b.Loop() {
				r := simulate(b, "dev", map[string]any{"kubeadm-aws:nodes": nodes})
				measure := func(name string, run func() outcome) {
					began := time.Now()
					run().must(b)
					b.ReportMetric(time.Since(began).Seconds(), name+"-s")
				}
				measure("up", func() outcome { return r.up() })
				measure("noop", func() outcome { return r.up(optup.ExpectNoChanges()) })
				measure("destroy", func() outcome { return r.destroy() })
			}
		})
	}
}
