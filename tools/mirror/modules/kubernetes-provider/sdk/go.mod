// What the code of the provider names of the SDK. It needs the SDK for components such as helm.sh/v4.Chart, which this
// program does not register. Compiling the SDK itself, the whole API of Kubernetes, takes longer than the rest of the provider.
module github.com/pulumi/pulumi-kubernetes/sdk/v4

go 1.24.7

require github.com/pulumi/pulumi/sdk/v3 v3.215.0
