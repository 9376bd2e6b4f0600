// Package kubernetes has the one type of the SDK's package that the provider names.
package kubernetes

// UntypedArgs are the properties of an object.
type UntypedArgs map[string]any
