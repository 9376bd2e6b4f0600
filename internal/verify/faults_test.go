package verify

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// first is the first object of a list.
func first(f *fakeAPI, path string) map[string]any {
	return f.objects[path].([]any)[0].(map[string]any)
}

func metadata(o map[string]any) map[string]any { return o["metadata"].(map[string]any) }

// Every fault of a cluster that a check has to find.
func TestFaultsAreFoundAndExplained(t *testing.T) {
	second := func(f *fakeAPI, path string) map[string]any { return f.objects[path].([]any)[1].(map[string]any) }
	spec := func(o map[string]any) map[string]any { return o["spec"].(map[string]any) }
	status := func(o map[string]any) map[string]any { return o["status"].(map[string]any) }
	label := func(o map[string]any, key, value string) {
		metadata(o)["labels"].(map[string]any)[key] = value
	}
	breakCondition := func(path, words string) func(*fakeAPI) {
		return func(f *fakeAPI) { first(f, path)["status"] = conditions(words)["status"] }
	}
	unavailable := func(release string) func(*fakeAPI) {
		return func(f *fakeAPI) {
			for _, kind := range []string{"deployments", "daemonsets"} {
				for _, o := range f.objects["/apis/apps/v1/"+kind].([]any) {
					if w := o.(map[string]any); metadata(w)["name"] == release {
						status(w)["readyReplicas"] = 0
						status(w)["numberReady"] = 1
					}
				}
			}
		}
	}
	absent := func(release string) func(*fakeAPI) {
		return func(f *fakeAPI) {
			all := f.objects["/apis/apps/v1/deployments"].([]any)
			f.objects["/apis/apps/v1/deployments"] = slices.DeleteFunc(all,
				func(o any) bool { return metadata(o.(map[string]any))["name"] == release })
		}
	}
	crashing := func(path string) func(*fakeAPI) {
		return func(f *fakeAPI) {
			first(f, path)["status"] = map[string]any{"phase": "Running", "containerStatuses": []any{map[string]any{
				"name": "c", "restartCount": 7, "state": map[string]any{"waiting": map[string]any{"reason": "CrashLoopBackOff"}},
			}}}
		}
	}
	const nodes = "/api/v1/nodes"
	for _, tt := range []struct {
		check, fault, says string
		do                 func(*fakeAPI)
	}{
		{"api", "is another version", "v1.35.4",
			func(f *fakeAPI) { f.objects["/version"] = map[string]any{"gitVersion": "v1.35.4"} }},
		{"api", "is not ready", "404", func(f *fakeAPI) { delete(f.objects, "/readyz") }},
		{"nodes", "one is not Ready", "worker-1 is not Ready: because", func(f *fakeAPI) {
			status(second(f, nodes))["conditions"] = conditions("Ready=Unknown")["status"].(map[string]any)["conditions"]
		}},
		{"dns placement", "is on one node", "every pod of CoreDNS that is ready runs on worker-1", func(f *fakeAPI) {
			spec(first(f, "/api/v1/namespaces/kube-system/pods"))["nodeName"] = "worker-1"
		}},
		{"dns placement", "is half dead", "every pod of CoreDNS that is ready runs on worker-1", func(f *fakeAPI) {
			first(f, "/api/v1/namespaces/kube-system/pods")["status"] = conditions("Ready=False")["status"]
		}},
		{"nodes", "one is missing", "worker-1 is missing",
			func(f *fakeAPI) { f.objects[nodes] = f.objects[nodes].([]any)[:1] }},
		{"nodes", "one is unknown", "stranger is not in the settings",
			func(f *fakeAPI) { f.objects[nodes] = append(f.objects[nodes].([]any), obj("stranger", "", nil)) }},
		{"nodes", "one is cordoned", "worker-1 is cordoned",
			func(f *fakeAPI) { spec(second(f, nodes))["unschedulable"] = true }},
		{"nodes", "a kubelet is old", "worker-1 runs kubelet v1.35.4", func(f *fakeAPI) {
			status(second(f, nodes))["nodeInfo"] = map[string]any{"kubeletVersion": "v1.35.4"}
		}},
		{"node taints", "the cloud controller has not come by", "worker-1 has node.cloudprovider.kubernetes.io/uninitialized",
			func(f *fakeAPI) {
				spec(second(f, nodes))["taints"] = []any{map[string]any{"key": "node.cloudprovider.kubernetes.io/uninitialized"}}
			}},
		{"node taints", "labels were never applied", "worker-1 has kubeadm-aws/unconfigured", func(f *fakeAPI) {
			spec(second(f, nodes))["taints"] = []any{map[string]any{"key": "kubeadm-aws/unconfigured"}}
		}},
		{"provider ids", "one is missing", `worker-1: ""`, func(f *fakeAPI) { spec(second(f, nodes))["providerID"] = "" }},
		{"provider ids", "two are the same", "the same instance", func(f *fakeAPI) {
			label(second(f, nodes), "topology.kubernetes.io/zone", "eu-west-1a")
			spec(second(f, nodes))["providerID"] = spec(first(f, nodes))["providerID"]
		}},
		{"zones", "a zone label is wrong", "the settings say eu-west-1b",
			func(f *fakeAPI) { label(second(f, nodes), "topology.kubernetes.io/zone", "eu-west-1c") }},
		{"zones", "a region label is wrong", "the settings say eu-west-1",
			func(f *fakeAPI) { label(second(f, nodes), "topology.kubernetes.io/region", "us-east-1") }},
		{"labels and taints", "a label is missing", "worker-1: label workload=api is missing",
			func(f *fakeAPI) { label(second(f, nodes), "workload", "other") }},
		{"labels and taints", "a taint is missing", "taint node-role.kubernetes.io/control-plane=:NoSchedule is missing",
			func(f *fakeAPI) { spec(first(f, nodes))["taints"] = nil }},
		{"system pods", "one crashes", "CrashLoopBackOff (7 restarts)", crashing("/api/v1/namespaces/kube-system/pods")},
		{"other pods", "one crashes", "ns/app: container c: CrashLoopBackOff", func(f *fakeAPI) {
			crashing("/api/v1/pods")(f)
		}},
		{"other pods", "one cannot be scheduled", "not scheduled: because", func(f *fakeAPI) {
			s := conditions("PodScheduled=False")["status"].(map[string]any)
			s["phase"] = "Pending"
			first(f, "/api/v1/pods")["status"] = s
		}},
		{"dns and pod network", "DNS answers wrong", "expected 10.96.0.1", func(f *fakeAPI) { f.resolves = "192.0.2.1" }},
		{"dns and pod network", "pods do not start", "does not start: container resolver: ErrImagePull", func(f *fakeAPI) {
			f.podStatus = map[string]any{"phase": "Pending", "containerStatuses": []any{map[string]any{
				"name": "resolver", "state": map[string]any{"waiting": map[string]any{"reason": "ErrImagePull"}},
			}}}
		}},
		{"api services", "one is dead", "v1.: Available is False",
			breakCondition("/apis/apiregistration.k8s.io/v1/apiservices", "Available=False")},
		{"calico", "it is degraded", "calico: Available is False",
			breakCondition("/apis/operator.tigera.io/v1/tigerastatuses", "Available=False")},
		{"cloud controller", "it is not on every control plane", "1 of 2 ready", unavailable("aws-cloud-controller-manager")},
		{"metrics-server", "it is down", "0 of 1 ready", unavailable("metrics-server")},
		{"metrics-server", "it misses a node", "1 of 2 nodes",
			func(f *fakeAPI) { f.objects["/apis/metrics.k8s.io/v1beta1/nodes"] = []any{obj("master", "", nil)} }},
		{"ebs csi", "it is down", "0 of 1 ready", unavailable("aws-ebs-csi-driver")},
		{"ebs csi", "it is not installed", "nothing of aws-ebs-csi-driver", absent("aws-ebs-csi-driver")},
		{"interruption handler", "it is not on every spot worker", "0 of 1 ready", func(f *fakeAPI) {
			f.objects["/apis/apps/v1/daemonsets"] = []any{
				obj("aws-node-termination-handler", "app.kubernetes.io/instance=aws-node-termination-handler",
					map[string]any{"status": map[string]any{"desiredNumberScheduled": 1, "numberReady": 0}})}
		}},
		{"volume", "no default class", "no default StorageClass",
			func(f *fakeAPI) { f.objects["/apis/storage.k8s.io/v1/storageclasses"] = []any{} }},
		{"volume", "none is made", "no gp3 volume was made, so a pod does not start: not scheduled: because",
			func(f *fakeAPI) {
				f.podStatus, f.volume = pending("PodScheduled=False"), ""
			}},
		{"volume", "the image is not there",
			"a node gets no image, so the volume was not tried: container writer: ImagePullBackOff", func(f *fakeAPI) {
				f.podStatus = map[string]any{"phase": "Pending", "containerStatuses": []any{map[string]any{
					"name": "writer", "state": map[string]any{"waiting": map[string]any{"reason": "ImagePullBackOff"}},
				}}}
			}},
		{"volume", "it is not attached", "a gp3 volume was made, but a pod does not start with it: not ready: because",
			func(f *fakeAPI) {
				f.podStatus = pending("PodScheduled=True Ready=False")
			}},
		{"cert-manager", "it is down", "0 of 1 ready", unavailable("cert-manager")},
		{"cert-manager", "the issuer has no account", "letsencrypt: Ready is False",
			breakCondition("/apis/cert-manager.io/v1/clusterissuers", "Ready=False")},
		{"load balancer controller", "it is down", "0 of 1 ready", unavailable("aws-load-balancer-controller")},
		{"ingress", "it has no load balancer", "has no load balancer yet", func(f *fakeAPI) {
			first(f, "/apis/networking.k8s.io/v1/ingresses")["status"] = map[string]any{}
		}},
		{"ingress", "no target is healthy", "503: no healthy target", func(f *fakeAPI) {
			f.objects["/apis/networking.k8s.io/v1/ingresses"] = []any{f.ingress(t, http.StatusServiceUnavailable)}
		}},
		{"ingress", "the target does not answer", "504: the target does not answer", func(f *fakeAPI) {
			f.objects["/apis/networking.k8s.io/v1/ingresses"] = []any{f.ingress(t, http.StatusGatewayTimeout)}
		}},
		{"monitoring", "Prometheus is down", "prometheus: Available is False",
			breakCondition("/apis/monitoring.coreos.com/v1/prometheuses", "Available=False")},
		{"monitoring", "Alertmanager is missing", "none exists",
			func(f *fakeAPI) { f.objects["/apis/monitoring.coreos.com/v1/alertmanagers"] = []any{} }},
		{"logging", "Loki is down", "0 of 1 ready", unavailable("loki")},
		{"logging", "Fluent Bit misses a node", "1 of 2 ready", unavailable("fluent-bit")},
		{"rabbitmq", "a replica is down", "AllReplicasReady is False",
			breakCondition("/apis/rabbitmq.com/v1beta1/rabbitmqclusters", "AllReplicasReady=False")},
		{"rabbitmq", "it refuses a client", "a client fails: 401", clientFails("401")},
		{"redis", "it refuses a client", "a client fails: WRONGPASS", clientFails("WRONGPASS")},
		{"redis", "no server runs", "no pod app.kubernetes.io/instance=valkey runs",
			func(f *fakeAPI) { f.objects["/api/v1/namespaces/data/pods"] = []any{} }},
		{"postgresql", "it is not ready", "postgresql: Ready is False",
			breakCondition("/apis/postgresql.cnpg.io/v1/clusters", "Ready=False")},
		{"postgresql", "it refuses a client", "a client fails: password", clientFails("password")},
		{"argo cd", "it is down", "0 of 1 ready", unavailable("argo-cd")},
		{"argo cd", "an application is not healthy", "root is OutOfSync and Degraded", func(f *fakeAPI) {
			first(f,
				"/apis/argoproj.io/v1alpha1/applications")["status"] = map[string]any{"sync": map[string]any{"status": "OutOfSync"},
				"health": map[string]any{"status": "Degraded"}}
		}},
		{"argo cd", "a first version does not get ready", "root is Synced and Progressing", func(f *fakeAPI) {
			f.release("Progressing", "Progressing", "", "new")
		}},
		{"argo cd", "a release was aborted", "root is Synced and Degraded", func(f *fakeAPI) {
			f.release("Degraded", "Degraded", "old", "new")
		}},
		{"argo cd", "another application releases", "root is Synced and Progressing", func(f *fakeAPI) {
			f.release("Progressing", "Progressing", "old", "new")
			metadata(first(f, "/apis/argoproj.io/v1alpha1/rollouts"))["annotations"] = map[string]any{
				"argocd.argoproj.io/tracking-id": "other:argoproj.io/Rollout:apps/api"}
		}},
		{"argo rollouts", "it is down", "0 of 1 ready", unavailable("argo-rollouts")},
		{"etcd backup", "one was missed", "the last snapshot is 7h30m0s old", func(f *fakeAPI) {
			metadata(first(f, nodes))["annotations"] = map[string]any{lastBackup: now.Add(-450 * time.Minute).Format(
				time.RFC3339)}
		}},
		{"etcd backup", "it says nonsense", "cannot parse", func(f *fakeAPI) {
			metadata(first(f, nodes))["annotations"] = map[string]any{lastBackup: "yesterday"}
		}},
		{"etcd backup", "it never worked", "no snapshot has ever reached the bucket",
			func(f *fakeAPI) { metadata(first(f, nodes))["annotations"] = nil }},
		{"certificates", "one is about to end", "certificate ns/web ends in 9 days", func(f *fakeAPI) {
			web := obj("web", "", conditions("Ready=True"))
			status(web)["notAfter"] = now.Add(10*24*time.Hour - time.Hour).Format(time.RFC3339)
			f.objects["/apis/cert-manager.io/v1/certificates"] = []any{web}
		}},
		{"certificates", "one is not issued", "certificate ns/web is not issued: because", func(f *fakeAPI) {
			f.objects["/apis/cert-manager.io/v1/certificates"] = []any{obj("web", "", conditions("Ready=False"))}
		}},
	} {
		t.Run(tt.check+": "+tt.fault, func(t *testing.T) {
			f := healthy(t)
			tt.do(f)
			r := f.check(t, Options{})[tt.check]
			if r.Status != Failed || !strings.Contains(r.Message, tt.says) {
				t.Errorf("%s is %q: %q, want %s with %q", tt.check, r.Status, r.Message, Failed, tt.says)
			}
			if r.LookAt == "" {
				t.Errorf("%s does not say what to look at", tt.check)
			}
		})
	}
}

// pending returns the status of a pod that does not start.
func pending(words string) map[string]any {
	s := conditions(words)["status"].(map[string]any)
	s["phase"] = "Pending"
	return s
}

// clientFails makes every pod of a check fail with a line in its log.
func clientFails(says string) func(*fakeAPI) {
	return func(f *fakeAPI) {
		f.podStatus = map[string]any{"phase": "Failed"}
		f.log = says
	}
}
