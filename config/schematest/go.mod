// Compares the tables of package config with Kubernetes itself. A module of its own, so that the program does not depend on
// k8s.io/kubernetes. Its requirements are those of the mirror: go test -modfile=../../tools/mirror/modules/k8s-<version>/go.mod
module kubeadm-aws/config/schematest

go 1.26.0
