// Package v4 has the types of the SDK's package that the provider names.
package v4

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// RepositoryOpts say where a chart comes from.
type RepositoryOpts struct {
	CaFile, CertFile, KeyFile pulumi.AssetOrArchive
	Username, Password, Repo  *string
}

// PostRenderer is a command that changes what a chart renders.
type PostRenderer struct {
	Command string
	Args    []string
}

// RepositoryOptsInput and PostRendererInput are inputs of a component.
type (
	RepositoryOptsInput pulumi.Input
	PostRendererInput   pulumi.Input
)
