package recovery

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"kubeadm-aws/cluster/kubeapi"
	"kubeadm-aws/internal/account"
)

// Only silence can mean that a cluster is lost. Every answer, even a refusal, comes from a running machine.
func TestWhatAnErrorOfTheAPIMeans(t *testing.T) {
	status := func(code int) error { return fmt.Errorf("ask: %w", &kubeapi.StatusError{Code: code}) }
	connection := func(err error) error {
		return &url.Error{Op: "Get", URL: "https://203.0.113.7:6443/readyz",
			Err: &net.OpError{Op: "dial", Net: "tcp", Err: err}}
	}
	for _, tt := range []struct {
		name string
		err  error
		want contact
	}{
		{"ready", nil, answers},
		{"500", status(http.StatusInternalServerError), answers},
		{"503", status(http.StatusServiceUnavailable), answers},
		{"429", status(http.StatusTooManyRequests), answers},
		{"404", status(http.StatusNotFound), answers},
		{"401", status(http.StatusUnauthorized), forbids},
		{"403", status(http.StatusForbidden), forbids},
		{"expired client certificate", connection(errors.New("remote error: tls: expired certificate")), forbids},
		{"refused", connection(syscall.ECONNREFUSED), refuses},
		{"reset", connection(syscall.ECONNRESET), refuses},
		{"another authority", connection(x509.UnknownAuthorityError{}), refuses},
		{"expired server certificate", connection(x509.CertificateInvalidError{Reason: x509.Expired}), refuses},
		{"no route", connection(syscall.EHOSTUNREACH), silent},
		{"no network", connection(syscall.ENETUNREACH), silent},
		{"time-out", connection(syscall.ETIMEDOUT), silent},
		{"deadline", connection(context.DeadlineExceeded), silent},
		{"no such name", connection(&net.DNSError{Err: "no such host", Name: "api.example.com", IsNotFound: true}), silent},
		{"filtered (ICMP)", connection(syscall.EACCES), silent},
	} {
		if got := contactOf(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A refusal contains this computer's address and whether the firewall admits it, if both are known.
func TestTheOwnAddressIsComparedWithTheFirewall(t *testing.T) {
	living := []account.Machine{{Admits: []string{"198.51.100.0/24"}}}
	for address, want := range map[string]string{
		"":             "is the address that you come from in access.adminCidrs",
		"198.51.100.7": "the security group admits, so look at a proxy",
		"192.0.2.1": "you come from 192.0.2.1, which the security group does not admit; it admits 198.51.100.0/24 " +
			"(access.adminCidrs; access open lets this machine in for a while)",
	} {
		if text := lookAt(silent, living, address); !strings.Contains(text, want) {
			t.Errorf("%q: %s", address, text)
		}
	}
}
