//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// backupNote is the annotation of the cluster that a backup writes.
type backupNote struct {
	key string
	at  time.Time
}

// lastBackup reads it from the node; it is empty before the first backup.
func (c *cluster) lastBackup(t *testing.T) backupNote {
	t.Helper()
	notes := c.nodes(t)["master"].Metadata.Annotations
	at, err := time.Parse(time.RFC3339, notes["kubeadm-aws/last-backup"])
	if err != nil && notes["kubeadm-aws/last-backup"] != "" {
		t.Errorf("kubeadm-aws/last-backup: %v", err)
	}
	return backupNote{notes["kubeadm-aws/last-backup-key"], at}
}

// backup takes a snapshot now and returns its key.
func (c *cluster) backup(t *testing.T) string {
	t.Helper()
	before := c.lastBackup(t)
	c.on(t, "master",
		"systemctl start etcd-snapshot.service || { journalctl --unit etcd-snapshot --no-pager --lines 20; exit 1; }")
	now := c.lastBackup(t)
	if now.key == before.key || !now.at.After(before.at) {
		t.Fatalf("the node tells of %v, before it was %v", now, before)
	}
	return now.key
}

// A changed setting reaches the timers. Then the next minute is added to that of the snapshots on the host, so that
// systemd starts one.
func timerFires(t *testing.T, s *stack, c *cluster) {
	b := s.bucket(t)
	if now := c.lastBackup(t); now.key != "" {
		t.Fatalf("there is a backup already: %v", now)
	}
	s.set(t, "backup", map[string]any{"everyHours": 12})
	// The copies of RabbitMQ's definitions and the alerts for copies that are too old follow the same setting.
	ops := s.must(t, "up").done()
	slices.Sort(ops)
	if want := []string{"update master-backup", "update prometheusrule-etcd-backup (PrometheusRule)",
		"update prometheusrule-rabbitmq (PrometheusRule)", "update rabbitmq-backup (Command)"}; !slices.Equal(ops, want) {
		t.Errorf("another number of hours did %v, want %v", ops, want)
	}
	// The change takes some seconds; a minute that is over would come again tomorrow.
	due := time.Now().UTC().Add(20 * time.Second).Truncate(time.Minute).Add(time.Minute)
	c.on(t, "master", "mkdir -p /etc/systemd/system/etcd-snapshot.timer.d && printf '[Timer]\\nOnCalendar=%s\\n' '"+
		due.Format("*-*-* 15:04:00")+
		"' >/etc/systemd/system/etcd-snapshot.timer.d/soon.conf && systemctl daemon-reload && systemctl restart "+
		"etcd-snapshot.timer")
	s.backend(t) // the metadata service with the role's credentials
	// systemd may let a timer wait for a minute, to wake up the machine less often.
	// At midnight and at noon the new hours have just passed, and systemd makes up for the snapshot of that hour first.
	eventually(t, time.Until(due)+3*time.Minute, "a snapshot by the timer", func() error {
		if last := c.lastBackup(t); last.key == "" || last.at.Before(due) {
			return fmt.Errorf("due at %s, the service says: %s", due.Format(time.TimeOnly),
				c.on(t, "master",
					"systemctl list-timers --no-pager etcd-snapshot.timer; journalctl --unit etcd-snapshot --no-pager --lines 5"))
		}
		return nil
	})
	last := c.lastBackup(t)
	if out := c.on(t, "master", "systemctl show --property LastTriggerUSec --value etcd-snapshot.timer"); out == "" {
		t.Error("the timer has never fired")
	}
	if keys := b.keys(t); !slices.Contains(keys, last.key) {
		t.Errorf("the node tells of %s, the bucket has %v", last.key, keys)
	}
	sum := sha256.Sum256(b.get(t, last.key))
	if noted := string(b.get(t, last.key+".sha256")); !strings.HasPrefix(noted, hex.EncodeToString(sum[:])) {
		t.Errorf("the snapshot has the checksum %x, noted is %s", sum, noted)
	}
	values := textfile(t, c.on(t, "master", "cat /var/lib/node-exporter/textfile/etcd_backup.prom"))
	for name, want := range map[string]float64{
		"kubeadm_aws_etcd_backup_last_run_failed":                0,
		"kubeadm_aws_etcd_backup_last_success_timestamp_seconds": float64(last.at.Unix()),
		"kubeadm_aws_etcd_backup_last_size_bytes":                float64(len(b.get(t, last.key))),
	} {
		if got, there := values[name]; !there || got != want {
			t.Errorf("%s is %v (there: %v), want %v", name, got, there, want)
		}
	}
	t.Logf("FIGURE backup: %.0f s after its minute, %d bytes", last.at.Sub(due).Seconds(), len(b.get(t, last.key)))
}

// textfile reads what a program leaves for the node exporter, as strictly as Prometheus' text format is: each metric
// with its help and its type before its one sample.
func textfile(t *testing.T, text string) map[string]float64 {
	t.Helper()
	values := map[string]float64{}
	said := map[string]string{}
	for line := range strings.Lines(text + "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) >= 4 && words[0] == "#" && (words[1] == "HELP" || words[1] == "TYPE" && words[3] == "gauge"):
			said[words[2]] += words[1]
		case len(words) == 2:
			value, err := strconv.ParseFloat(words[1], 64)
			if _, twice := values[words[0]]; err != nil || twice || said[words[0]] != "HELPTYPE" {
				t.Errorf("not the text format: %q (before it: %q, %v)", line, said[words[0]], err)
			}
			values[words[0]] = value
		default:
			t.Errorf("not the text format: %q", line)
		}
	}
	if len(values) == 0 || len(values) != len(said) {
		t.Errorf("%d metrics described, %d given", len(said), len(values))
	}
	return values
}
