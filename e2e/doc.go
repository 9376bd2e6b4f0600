// Package e2e proves the program on real hosts: `make e2e`. The driver brings up docker hosts on this machine,
// kubeadm makes a cluster of them, and the tests look at the cluster from outside. It needs root and docker. The
// tests are compiled with the tag e2e only.
package e2e
