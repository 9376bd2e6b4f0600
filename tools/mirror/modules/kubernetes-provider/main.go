// The provider of Kubernetes for Pulumi, as its module builds it. The version stands between two releases: the module
// proxy has none of them.
package main

import "github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"

func main() {
	// The engine asks for the schema only when a resource is imported, which this program never does.
	provider.Serve("kubernetes", "4.25.0", []byte("{}"), []byte("{}"))
}
