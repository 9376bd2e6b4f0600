// Package v2 has the one function of the SDK's package that the provider names.
package v2

import (
	"errors"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RegisterResource refuses to register an object of a component.
func RegisterResource(*pulumi.Context, string, string, string, kubernetes.UntypedArgs,
	...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	return nil, errors.New("this provider is built without components")
}
