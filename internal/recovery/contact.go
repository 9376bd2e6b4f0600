package recovery

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"kubeadm-aws/cluster/kubeapi"
	"kubeadm-aws/internal/report"
	check "kubeadm-aws/internal/verify"
	"kubeadm-aws/internal/workspace"
)

// askTimes is the number of requests to the Kubernetes API before it counts as silent.
const askTimes = 5

// contact is the result of the attempts to reach the Kubernetes API.
type contact int

const (
	// answers: an API server answered, possibly with an error.
	answers contact = iota
	// forbids: an API server answered and refused the credentials of the kubeconfig.
	forbids
	// refuses: the machine answered, but no API server listens on it, or the listening one cannot prove that it
	// belongs to the cluster.
	refuses
	// silent: nothing answered: a time-out, no route, or no such name.
	silent
)

// contactOf derives the contact from the error of a request. Only silent can mean that the cluster is gone.
func contactOf(err error) contact {
	var (
		status    *kubeapi.StatusError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case err == nil:
		return answers
	case errors.As(err, &status) && (status.Code == 401 || status.Code == 403):
		return forbids
	case errors.As(err, &status):
		return answers
	case strings.Contains(fmt.Sprint(err), "remote error: tls: "): // the server refused the client's certificate
		return forbids
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET),
		errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid):
		return refuses
	}
	return silent
}

// reach asks the API of the stack's cluster until it answers or counts as silent, with askAfter between two requests.
// why is the last error.
func reach(ctx context.Context, w *workspace.Workspace, askAfter time.Duration) (_ contact, why string, err error) {
	if w.Cloud == report.CloudSandbox {
		switch {
		case w.Sandbox.Cluster.APIAnswers():
			return answers, "", nil
		case w.Sandbox.Cluster.APIRefuses():
			return refuses, "connection refused, in the model", nil
		}
		return silent, "time-out, in the model", nil
	}
	kubeconfig, err := w.Kubeconfig(ctx)
	if err != nil {
		return silent, "", err
	}
	if kubeconfig == "" {
		return silent, "the state holds no kubeconfig", nil
	}
	api, err := check.Open([]byte(kubeconfig))
	if err != nil {
		return silent, err.Error(), nil
	}
	ctx, stop := w.CLI.Until(ctx)
	defer stop()
	for try := 1; ; try++ {
		err := api.Ready(ctx)
		if w.CLI.Stopped() {
			return silent, "", report.Fail(report.ExitInterrupted, "", "%s was interrupted; nothing was touched", w.Command)
		}
		switch c := contactOf(err); {
		case c == answers:
			return answers, "", nil
		case c == forbids:
			return forbids, err.Error() + expiry(api, time.Now()), nil
		case try == askTimes:
			return c, err.Error(), nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(askAfter):
		}
	}
}

// expiry returns the message that the certificate of the kubeconfig has expired, or "" while it is valid.
func expiry(api *check.API, now time.Time) string {
	for _, pair := range api.TLS.Certificates {
		certificate, err := x509.ParseCertificate(pair.Certificate[0])
		if err == nil && now.After(certificate.NotAfter) {
			return fmt.Sprintf("; the admin certificate of the kubeconfig expired on %s",
				certificate.NotAfter.Format(time.DateOnly))
		}
	}
	return ""
}
