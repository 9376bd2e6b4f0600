package addons

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"kubeadm-aws/config"
)

var binaryAmount = regexp.MustCompile(`^(\d+)(Ki|Mi|Gi)$`)

// RabbitMQ's operator writes the spec of its cluster back, with amounts in the form of Kubernetes. An amount in another
// form made every second `up` fail with a conflict of field managers.
func TestAmountsAreInTheFormOfKubernetes(t *testing.T) {
	r := install(t, nil, func(c *config.Config) {
		everything(c)
		c.Addons.RabbitMQ.MemoryMiB, c.Addons.RabbitMQ.StorageGiB = 2048, 1024
		c.Addons.PostgreSQL.StorageGiB = 2048
	})
	seen := 0
	for _, entry := range r.resources {
		if !isObject(entry) {
			continue
		}
		each(plainMap(entry.inputs), func(text string) {
			parts := binaryAmount.FindStringSubmatch(text)
			if parts == nil {
				return
			}
			seen++
			if n, _ := strconv.Atoi(parts[1]); n%1024 == 0 {
				t.Errorf("%s has %s, which Kubernetes writes with the next larger unit", entry.name, text)
			}
		})
	}
	if seen == 0 {
		t.Error("no object has an amount")
	}
	for n, want := range map[int]string{1: "1Mi", 384: "384Mi", 1024: "1Gi", 1536: "1536Mi", 1 << 20: "1Ti"} {
		if got := mebibytes(n); got != want {
			t.Errorf("%d MiB is %s, want %s", n, got, want)
		}
	}
}

// each calls do for every text in a tree.
func each(tree any, do func(string)) {
	switch at := tree.(type) {
	case map[string]any:
		for _, item := range at {
			each(item, do)
		}
	case []any:
		for _, item := range at {
			each(item, do)
		}
	case string:
		if !strings.Contains(at, "\n") {
			do(at)
		}
	}
}
