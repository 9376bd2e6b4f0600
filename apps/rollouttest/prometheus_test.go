package rollouttest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"kubeadm-aws/internal/testenv"
)

// prometheus is a Prometheus with the configuration that its operator has made of the PodMonitor.
type prometheus struct {
	program, dir string
	port         int
	cmd          *exec.Cmd
	log          bytes.Buffer
}

func (p *prometheus) url() *url.URL {
	return &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", p.port)}
}

// object asks the operator for a configuration. Its selectors are those of the platform's values.
func (p *prometheus) object(api testenv.API) string {
	return fmt.Sprintf(`{apiVersion: monitoring.coreos.com/v1, kind: Prometheus,
metadata: {name: kube-prometheus-stack-prometheus, namespace: monitoring},
spec: {podMonitorSelector: {}, podMonitorNamespaceSelector: {}, serviceAccountName: default,
apiserverConfig: {host: %q, bearerToken: test, tlsConfig: {insecureSkipVerify: true}}}}`, api.URL)
}

// start runs Prometheus, and returns when it scrapes the API.
func (p *prometheus) start(c *cluster) {
	c.t.Helper()
	file := filepath.Join(p.dir, "prometheus.yaml")
	c.until("the operator configures Prometheus for the PodMonitor", func() bool {
		var secret struct{ Data map[string][]byte }
		c.get("/api/v1/namespaces/monitoring/secrets/prometheus-kube-prometheus-stack-prometheus", &secret)
		packed, err := gzip.NewReader(bytes.NewReader(secret.Data["prometheus.yaml.gz"]))
		if err != nil {
			return false
		}
		text, err := io.ReadAll(packed)
		// The reloader in Prometheus' pod fills in what differs between pods.
		for name, value := range map[string]string{"POD_NAME": "prometheus-kube-prometheus-stack-prometheus-0", "SHARD": "0"} {
			text = bytes.ReplaceAll(text, []byte("$("+name+")"), []byte(value))
		}
		return err == nil && bytes.Contains(text, []byte("podMonitor/apps/api/0")) && os.WriteFile(file, text, 0o600) == nil
	})
	p.resume(c)
}

// resume starts the program again, with the data that it has.
func (p *prometheus) resume(c *cluster) {
	c.t.Helper()
	p.cmd = exec.Command(p.program, "--config.file="+filepath.Join(p.dir, "prometheus.yaml"), "--log.level=warn",
		"--storage.tsdb.path="+filepath.Join(p.dir, "data"), "--web.listen-address="+p.url().Host,
		fmt.Sprintf("--query.lookback-delta=%ds", 300/speed))
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.until("Prometheus answers", func() bool {
		answer, err := http.Get(p.url().String() + "/-/ready")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// halt ends the program.
func (p *prometheus) halt() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
}
