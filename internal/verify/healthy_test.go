package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/config"
)

func runningPod() map[string]any {
	return map[string]any{"phase": "Running", "conditions": []any{
		map[string]any{"type": "PodScheduled", "status": "True"}, map[string]any{"type": "Ready", "status": "True"},
	}}
}

// obj returns an object with a name, labels from "k=v" words, and additional fields.
func obj(name, labels string, fields map[string]any) map[string]any {
	l := map[string]any{}
	for _, word := range strings.Fields(labels) {
		key, value, _ := strings.Cut(word, "=")
		l[key] = value
	}
	o := map[string]any{"metadata": map[string]any{
		"name": name, "namespace": "ns", "labels": l, "annotations": map[string]any{},
		"creationTimestamp": now.Add(-48 * time.Hour).Format(time.RFC3339),
	}}
	for k, v := range fields {
		o[k] = v
	}
	return o
}

func onNodeNamed(name string, pod map[string]any) map[string]any {
	pod["spec"].(map[string]any)["nodeName"] = name
	return pod
}

// condition returns a status with one condition per word, such as "Ready=True".
func conditions(words string) map[string]any {
	var all []any
	for _, word := range strings.Fields(words) {
		typ, status, _ := strings.Cut(word, "=")
		all = append(all, map[string]any{"type": typ, "status": status, "message": "because"})
	}
	return map[string]any{"status": map[string]any{"conditions": all}}
}

// settings returns those of a stack with one control plane, one spot worker and every add-on.
func settings() *config.Config {
	on := true
	c := &config.Config{
		Region:  "eu-west-1",
		Cluster: config.Cluster{Name: "dev", KubernetesVersion: "1.36.3", CNI: "calico", DNSDomain: "cluster.local"},
		Network: config.Network{Zones: []string{"a", "b"}},
		DNS:     config.DNS{Domain: "example.com"},
		Backup:  config.Backup{EveryHours: 6},

		Identity: config.Identity{Enabled: true},
		Nodes: []config.Node{
			{Name: "master", Role: config.ControlPlane,
				Taints: []config.Taint{{Key: "node-role.kubernetes.io/control-plane", Effect: "NoSchedule"}}},
			{Name: "worker-1", Role: config.Worker, Zone: 1, Spot: true, Labels: map[string]string{"workload": "api"}},
		},
	}
	a := config.Addon{Enabled: &on}
	c.Addons.MetricsServer, c.Addons.EBSCSI, c.Addons.CertManager, c.Addons.LoadBalancer = a, a, a, a
	c.Addons.Monitoring, c.Addons.Logging, c.Addons.ArgoRollouts = a, a, a
	c.Addons.RabbitMQ.Addon, c.Addons.Redis.Addon, c.Addons.PostgreSQL.Addon, c.Addons.ArgoCD.Addon = a, a, a, a
	c.Addons.ArgoCD.RepoURL = "https://git.example.com/platform"
	return c
}

// healthy fills the server with a cluster that matches settings().
func healthy(t *testing.T) *fakeAPI {
	t.Helper()
	f := newFakeAPI(t)
	node := func(name, zone, labels string, taints ...any) map[string]any {
		o := obj(name, "topology.kubernetes.io/region=eu-west-1 topology.kubernetes.io/zone="+zone+" "+labels, map[string]any{
			"spec": map[string]any{"providerID": "aws:///" + zone + "/i-" + name, "taints": taints},
			"status": map[string]any{"nodeInfo": map[string]any{"kubeletVersion": "v1.36.3"},
				"conditions": conditions("Ready=True")["status"].(map[string]any)["conditions"]},
		})
		return o
	}
	master := node("master", "eu-west-1a", "",
		map[string]any{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"})
	master["metadata"].(map[string]any)["annotations"] = map[string]any{lastBackup: now.Add(-3 * time.Hour).Format(
		time.RFC3339), lastBackupKey: "etcd/3.db"}
	f.objects["/api/v1/namespaces"] = []any{}
	f.objects["/version"] = map[string]any{"gitVersion": "v1.36.3"}
	f.objects["/readyz"] = map[string]any{}
	f.publish(t)
	f.objects["/api/v1/nodes"] = []any{master, node("worker-1", "eu-west-1b", "workload=api")}
	f.objects["/api/v1/nodes/master"] = master
	withImage := func(name, labels, containerName, image string) map[string]any {
		return obj(name, labels, map[string]any{
			"spec":   map[string]any{"containers": []any{map[string]any{"name": containerName, "image": image}}},
			"status": runningPod(),
		})
	}
	system := []any{
		onNodeNamed("master", withImage("coredns-1", "k8s-app=kube-dns", "coredns",
			"registry.k8s.io/coredns/coredns:v1.14.0")),
		withImage("etcd-master", "component=etcd", "etcd", "registry.k8s.io/etcd:3.6.16-0"),
		onNodeNamed("worker-1", withImage("coredns-2", "k8s-app=kube-dns", "coredns",
			"registry.k8s.io/coredns/coredns:v1.14.0")),
	}
	f.objects["/api/v1/namespaces/kube-system/pods"] = system
	f.objects["/api/v1/pods"] = append([]any{withImage("app", "", "app", "app:1")}, system...)
	f.objects["/api/v1/namespaces/data/pods"] = []any{
		withImage("rabbitmq-server-0", "app.kubernetes.io/name=rabbitmq", "rabbitmq", "rabbitmq:4"),
		withImage("valkey-0", "app.kubernetes.io/instance=valkey", "valkey", "valkey:9"),
		withImage("postgresql-1", "cnpg.io/cluster=postgresql", "postgres", "postgresql:18"),
	}
	f.objects["/api/v1/namespaces/kube-system/services/kube-dns"] = map[string]any{"spec": map[string]any{"clusterIP": "10.96.0.10"}}
	f.objects["/api/v1/namespaces/default/services/kubernetes"] = map[string]any{"spec": map[string]any{"clusterIP": "10.96.0.1"}}
	f.objects["/apis/apiregistration.k8s.io/v1/apiservices"] = []any{obj("v1.", "", conditions("Available=True")),
		obj("v1beta1.metrics.k8s.io", "", conditions("Available=True"))}
	f.objects["/apis/operator.tigera.io/v1/tigerastatuses"] = []any{obj("calico", "", conditions("Available=True"))}
	deployment := func(release string) map[string]any {
		return obj(release, "app.kubernetes.io/instance="+release,
			map[string]any{"spec": map[string]any{"replicas": 1}, "status": map[string]any{"readyReplicas": 1}})
	}
	var deployments []any
	for _, release := range []string{"metrics-server", "aws-ebs-csi-driver", "cert-manager",
		"aws-load-balancer-controller", "kube-prometheus-stack", "loki", "valkey", "argo-cd", "argo-rollouts"} {
		deployments = append(deployments, deployment(release))
	}
	daemonSet := map[string]any{"status": map[string]any{"desiredNumberScheduled": 2, "numberReady": 2}}
	f.objects["/apis/apps/v1/deployments"] = deployments
	f.objects["/apis/apps/v1/statefulsets"] = []any{}
	f.objects["/apis/apps/v1/daemonsets"] = []any{
		obj("aws-cloud-controller-manager", "", daemonSet),
		obj("fluent-bit", "app.kubernetes.io/instance=fluent-bit", daemonSet),
		obj("aws-node-termination-handler", "app.kubernetes.io/instance=aws-node-termination-handler", daemonSet),
	}
	f.objects["/apis/metrics.k8s.io/v1beta1/nodes"] = []any{obj("master", "", nil), obj("worker-1", "", nil)}
	gp3 := obj("gp3", "", nil)
	gp3["metadata"].(map[string]any)["annotations"] = map[string]any{"storageclass.kubernetes.io/is-default-class": "true"}
	f.objects["/apis/storage.k8s.io/v1/storageclasses"] = []any{gp3}
	f.objects["/apis/cert-manager.io/v1/clusterissuers"] = []any{obj("letsencrypt", "", conditions("Ready=True"))}
	f.objects["/apis/cert-manager.io/v1/certificates"] = []any{}
	f.objects["/apis/monitoring.coreos.com/v1/prometheuses"] = []any{obj("prometheus", "", conditions("Available=True"))}
	f.objects["/apis/monitoring.coreos.com/v1/alertmanagers"] = []any{obj("alertmanager", "",
		conditions("Available=True"))}
	f.objects["/apis/rabbitmq.com/v1beta1/rabbitmqclusters"] = []any{obj("rabbitmq", "",
		conditions("AllReplicasReady=True ClusterAvailable=True"))}
	f.objects["/apis/postgresql.cnpg.io/v1/clusters"] = []any{obj("postgresql", "", conditions("Ready=True"))}
	f.objects["/apis/argoproj.io/v1alpha1/applications"] = []any{obj("root", "", map[string]any{
		"status": map[string]any{"sync": map[string]any{"status": "Synced"}, "health": map[string]any{"status": "Healthy"}},
	})}
	f.objects["/apis/argoproj.io/v1alpha1/rollouts"] = []any{}
	f.objects["/apis/networking.k8s.io/v1/ingresses"] = []any{f.ingress(t, http.StatusFound)}
	return f
}

// ingress is one whose load balancer is a server of the test that answers with a status.
func (f *fakeAPI) ingress(t *testing.T, status int) map[string]any {
	t.Helper()
	balancer := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "grafana.example.com" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
	}))
	balancer.TLS = &tls.Config{Certificates: []tls.Certificate{f.cert}}
	balancer.StartTLS()
	t.Cleanup(balancer.Close)
	return obj("grafana", "", map[string]any{
		"spec": map[string]any{"rules": []any{map[string]any{"host": "grafana.example.com"}}},
		"status": map[string]any{"loadBalancer": map[string]any{"ingress": []any{
			map[string]any{"hostname": strings.TrimPrefix(balancer.URL, "https://")}}}},
	})
}

// check runs all checks against the server, with a clock that a pause advances.
func (f *fakeAPI) check(t *testing.T, o Options) map[string]Result {
	t.Helper()
	api, err := Open(f.kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	if o.Config == nil {
		o.Config = settings()
	}
	clock := now
	o.Now = func() time.Time { return clock }
	o.roots = x509.NewCertPool()
	leaf, err := x509.ParseCertificate(f.cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	o.roots.AddCert(leaf)
	after := o.pause
	o.pause = func(ctx context.Context, d time.Duration) error {
		clock = clock.Add(d)
		if after != nil {
			return after(ctx, d)
		}
		return nil
	}
	results, err := Run(t.Context(), api, o)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]Result{}
	for _, r := range results {
		by[r.Check] = r
	}
	return by
}
