package verify

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kubeadm-aws/config"
)

func TestHealthyClusterPassesEveryCheck(t *testing.T) {
	f := healthy(t)
	results := f.check(t, Options{})
	for _, c := range checks {
		if r := results[c.name]; r.Status != OK {
			t.Errorf("%s is %q: %s", c.name, r.Status, r.Message)
		}
	}
	if f.peer != "kubernetes-admin" {
		t.Errorf("the client showed the certificate of %q, want kubernetes-admin", f.peer)
	}
}

func TestChecksRemoveWhatTheyMake(t *testing.T) {
	f := healthy(t)
	f.check(t, Options{})
	made := 0
	for _, path := range f.created {
		inScratch := strings.Contains(path, "/namespaces/"+scratchPrefix) && strings.Count(path, "/") > 4
		if inScratch {
			continue // goes with its namespace
		}
		made++
		if !slices.Contains(f.removed, path) {
			t.Errorf("%s was made and not removed", path)
		}
	}
	if made < 5 {
		t.Errorf("only %d things were made: %v", made, f.created)
	}
}

// A volume that a class keeps, or whose pod never came up, may not stay in the account.
func TestAVolumeThatFailedIsRemovedToo(t *testing.T) {
	f := healthy(t)
	f.podStatus = pending("PodScheduled=True Ready=False")
	if r := f.check(t, Options{})["volume"]; r.Status != Failed {
		t.Fatalf("volume is %q: %s", r.Status, r.Message)
	}
	if !slices.Equal(f.released, []string{"/api/v1/persistentvolumes/pv-1"}) {
		t.Errorf("volumes that end with their claim: %v, want pv-1", f.released)
	}
}

// What a run left that was killed goes with the next one, and what another run has just made stays.
func TestStaleThingsAreRemoved(t *testing.T) {
	f := healthy(t)
	young := obj("kubeadm-aws-verify-dns-b", scratchLabel+"=dns", nil)
	young["metadata"].(map[string]any)["creationTimestamp"] = now.Add(-time.Minute).Format(time.RFC3339)
	f.objects["/api/v1/namespaces"] = []any{obj("kubeadm-aws-verify-dns-a", scratchLabel+"=dns", nil), young, obj("mine", "", nil)}
	data := "/api/v1/namespaces/data/pods"
	f.objects[data] = append(f.objects[data].([]any), obj("kubeadm-aws-verify-redis-a", scratchLabel+"=pod", nil))
	f.check(t, Options{})
	for path, want := range map[string]bool{
		"/api/v1/namespaces/kubeadm-aws-verify-dns-a": true, "/api/v1/namespaces/kubeadm-aws-verify-dns-b": false,
		"/api/v1/namespaces/mine": false, data + "/kubeadm-aws-verify-redis-a": true, data + "/valkey-0": false,
	} {
		if got := slices.Contains(f.removed, path); got != want {
			t.Errorf("%s removed: %v, want %v", path, got, want)
		}
	}
}

// A node that was shut down leaves its pods behind as failed; their controllers have made others.
func TestPodsThatWereReplacedAreNoFault(t *testing.T) {
	for kind, want := range map[string]string{"ReplicaSet": OK, "Job": OK, "Node": Failed, "": Failed} {
		f := healthy(t)
		dead := obj("dead", "", map[string]any{"status": map[string]any{"phase": "Failed", "reason": "Terminated"}})
		if kind != "" {
			dead["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{"kind": kind, "controller": true}}
		}
		f.objects["/api/v1/pods"] = append(f.objects["/api/v1/pods"].([]any), dead)
		if r := f.check(t, Options{})["other pods"]; r.Status != want {
			t.Errorf("with a failed pod of %q, other pods is %q (%s), want %q", kind, r.Status, r.Message, want)
		}
	}
}

// Every way of breaking a cluster that a check is there to find.
func TestFaultsAreFoundAndExplained(t *testing.T) {
	first := func(f *fakeAPI, path string) map[string]any { return f.objects[path].([]any)[0].(map[string]any) }
	second := func(f *fakeAPI, path string) map[string]any { return f.objects[path].([]any)[1].(map[string]any) }
	metadata := func(o map[string]any) map[string]any { return o["metadata"].(map[string]any) }
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
			f.objects["/apis/apps/v1/deployments"] = slices.DeleteFunc(all, func(o any) bool { return metadata(o.(map[string]any))["name"] == release })
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
		{"api", "is another version", "v1.35.4", func(f *fakeAPI) { f.objects["/version"] = map[string]any{"gitVersion": "v1.35.4"} }},
		{"api", "is not ready", "404", func(f *fakeAPI) { delete(f.objects, "/readyz") }},
		{"nodes", "one is not Ready", "worker-1 is not Ready: because", func(f *fakeAPI) {
			status(second(f, nodes))["conditions"] = conditions("Ready=Unknown")["status"].(map[string]any)["conditions"]
		}},
		{"nodes", "one is missing", "worker-1 is missing", func(f *fakeAPI) { f.objects[nodes] = f.objects[nodes].([]any)[:1] }},
		{"nodes", "one is unknown", "stranger is not in the settings", func(f *fakeAPI) { f.objects[nodes] = append(f.objects[nodes].([]any), obj("stranger", "", nil)) }},
		{"nodes", "one is cordoned", "worker-1 is cordoned", func(f *fakeAPI) { spec(second(f, nodes))["unschedulable"] = true }},
		{"nodes", "a kubelet is old", "worker-1 runs kubelet v1.35.4", func(f *fakeAPI) {
			status(second(f, nodes))["nodeInfo"] = map[string]any{"kubeletVersion": "v1.35.4"}
		}},
		{"node taints", "the cloud controller has not come by", "worker-1 has node.cloudprovider.kubernetes.io/uninitialized", func(f *fakeAPI) {
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
		{"zones", "a zone label is wrong", "the settings say eu-west-1b", func(f *fakeAPI) { label(second(f, nodes), "topology.kubernetes.io/zone", "eu-west-1c") }},
		{"zones", "a region label is wrong", "the settings say eu-west-1", func(f *fakeAPI) { label(second(f, nodes), "topology.kubernetes.io/region", "us-east-1") }},
		{"labels and taints", "a label is missing", "worker-1: label workload=api is missing", func(f *fakeAPI) { label(second(f, nodes), "workload", "other") }},
		{"labels and taints", "a taint is missing", "taint node-role.kubernetes.io/control-plane=:NoSchedule is missing", func(f *fakeAPI) { spec(first(f, nodes))["taints"] = nil }},
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
		{"api services", "one is dead", "v1.: Available is False", breakCondition("/apis/apiregistration.k8s.io/v1/apiservices", "Available=False")},
		{"calico", "it is degraded", "calico: Available is False", breakCondition("/apis/operator.tigera.io/v1/tigerastatuses", "Available=False")},
		{"cloud controller", "it is not on every control plane", "1 of 2 ready", unavailable("aws-cloud-controller-manager")},
		{"metrics-server", "it is down", "0 of 1 ready", unavailable("metrics-server")},
		{"metrics-server", "it misses a node", "1 of 2 nodes", func(f *fakeAPI) { f.objects["/apis/metrics.k8s.io/v1beta1/nodes"] = []any{obj("master", "", nil)} }},
		{"ebs csi", "it is down", "0 of 1 ready", unavailable("aws-ebs-csi-driver")},
		{"ebs csi", "it is not installed", "nothing of aws-ebs-csi-driver", absent("aws-ebs-csi-driver")},
		{"volume", "no default class", "no default StorageClass", func(f *fakeAPI) { f.objects["/apis/storage.k8s.io/v1/storageclasses"] = []any{} }},
		{"volume", "none is made", "no gp3 volume was made, so a pod does not start: not scheduled: because", func(f *fakeAPI) {
			f.podStatus, f.volume = pending("PodScheduled=False"), ""
		}},
		{"volume", "the image is not there", "a node gets no image, so the volume was not tried: container writer: ImagePullBackOff", func(f *fakeAPI) {
			f.podStatus = map[string]any{"phase": "Pending", "containerStatuses": []any{map[string]any{
				"name": "writer", "state": map[string]any{"waiting": map[string]any{"reason": "ImagePullBackOff"}},
			}}}
		}},
		{"volume", "it is not attached", "a gp3 volume was made, but a pod does not start with it: not ready: because", func(f *fakeAPI) {
			f.podStatus = pending("PodScheduled=True Ready=False")
		}},
		{"cert-manager", "it is down", "0 of 1 ready", unavailable("cert-manager")},
		{"cert-manager", "the issuer has no account", "letsencrypt: Ready is False", breakCondition("/apis/cert-manager.io/v1/clusterissuers", "Ready=False")},
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
		{"monitoring", "Prometheus is down", "prometheus: Available is False", breakCondition("/apis/monitoring.coreos.com/v1/prometheuses", "Available=False")},
		{"monitoring", "Alertmanager is missing", "none exists", func(f *fakeAPI) { f.objects["/apis/monitoring.coreos.com/v1/alertmanagers"] = []any{} }},
		{"logging", "Loki is down", "0 of 1 ready", unavailable("loki")},
		{"logging", "Fluent Bit misses a node", "1 of 2 ready", unavailable("fluent-bit")},
		{"rabbitmq", "a replica is down", "AllReplicasReady is False", breakCondition("/apis/rabbitmq.com/v1beta1/rabbitmqclusters", "AllReplicasReady=False")},
		{"rabbitmq", "it refuses a client", "a client fails: 401", clientFails("401")},
		{"redis", "it refuses a client", "a client fails: WRONGPASS", clientFails("WRONGPASS")},
		{"redis", "no server runs", "no pod app.kubernetes.io/instance=valkey runs", func(f *fakeAPI) { f.objects["/api/v1/namespaces/data/pods"] = []any{} }},
		{"postgresql", "it is not ready", "postgresql: Ready is False", breakCondition("/apis/postgresql.cnpg.io/v1/clusters", "Ready=False")},
		{"postgresql", "it refuses a client", "a client fails: password", clientFails("password")},
		{"argo cd", "it is down", "0 of 1 ready", unavailable("argo-cd")},
		{"argo cd", "an application is not healthy", "root is OutOfSync and Degraded", func(f *fakeAPI) {
			first(f, "/apis/argoproj.io/v1alpha1/applications")["status"] = map[string]any{"sync": map[string]any{"status": "OutOfSync"}, "health": map[string]any{"status": "Degraded"}}
		}},
		{"argo rollouts", "it is down", "0 of 1 ready", unavailable("argo-rollouts")},
		{"etcd backup", "one was missed", "the last snapshot is 7h30m0s old", func(f *fakeAPI) {
			metadata(first(f, nodes))["annotations"] = map[string]any{lastBackup: now.Add(-450 * time.Minute).Format(time.RFC3339)}
		}},
		{"etcd backup", "it says nonsense", "cannot parse", func(f *fakeAPI) {
			metadata(first(f, nodes))["annotations"] = map[string]any{lastBackup: "yesterday"}
		}},
		{"etcd backup", "it never worked", "no snapshot has ever reached the bucket", func(f *fakeAPI) { metadata(first(f, nodes))["annotations"] = nil }},
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

// pending is the status of a pod that does not start.
func pending(words string) map[string]any {
	s := conditions(words)["status"].(map[string]any)
	s["phase"] = "Pending"
	return s
}

// clientFails makes every pod of a check end badly with a line in its log.
func clientFails(says string) func(*fakeAPI) {
	return func(f *fakeAPI) {
		f.podStatus = map[string]any{"phase": "Failed"}
		f.log = says
	}
}

func TestWhatIsNotThereIsSkippedWithAReason(t *testing.T) {
	on := func(yes bool) *bool { return &yes }
	for _, tt := range []struct {
		check, reason string
		options       func(*Options)
	}{
		{"logging", "off in the settings", func(o *Options) { o.Config.Addons.Logging.Enabled = on(false) }},
		{"rabbitmq", "charts are not installed", func(o *Options) { o.Hosts = true }},
		{"calico", "stand in", func(o *Options) { o.Hosts = true }},
		{"volume", "no volumes to attach", func(o *Options) { o.Hosts = true }},
		{"cloud controller", "stand-in", func(o *Options) { o.Hosts = true }},
		{"calico", "cni: none", func(o *Options) { o.Config.Cluster.CNI = "none" }},
	} {
		t.Run(tt.check+": "+tt.reason, func(t *testing.T) {
			o := Options{Config: settings()}
			tt.options(&o)
			r := healthy(t).check(t, o)[tt.check]
			if r.Status != Skipped || !strings.Contains(r.Message, tt.reason) {
				t.Errorf("%s is %q: %q, want it skipped because of %q", tt.check, r.Status, r.Message, tt.reason)
			}
		})
	}
}

func TestFailingChecksAreTriedUntilTheWaitIsOver(t *testing.T) {
	f := healthy(t)
	spec := f.objects["/api/v1/nodes"].([]any)[1].(map[string]any)["spec"].(map[string]any)
	spec["unschedulable"] = true
	tries := 0
	r := f.check(t, Options{Wait: time.Minute, pause: func(_ context.Context, d time.Duration) error {
		if d != tryAgainAfter {
			return nil // waiting for a pod
		}
		if tries++; tries == 3 {
			f.mu.Lock()
			defer f.mu.Unlock()
			spec["unschedulable"] = false
		}
		return nil
	}})["nodes"]
	if r.Status != OK || tries != 3 {
		t.Errorf("nodes is %q after %d tries, want ok after 3", r.Status, tries)
	}
	spec["unschedulable"] = true
	tries = 0
	r = f.check(t, Options{Wait: time.Minute, pause: func(_ context.Context, d time.Duration) error {
		if d == tryAgainAfter {
			tries++
		}
		return nil
	}})["nodes"]
	if want := int(time.Minute / tryAgainAfter); r.Status != Failed || tries != want {
		t.Errorf("nodes is %q after %d tries, want it to fail after the %d of a minute", r.Status, tries, want)
	}
}

func TestDeadAPIEndsTheChecks(t *testing.T) {
	f := healthy(t)
	kubeconfig := f.kubeconfig(t)
	f.Close()
	api, err := Open(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	results, err := Run(t.Context(), api, Options{Config: settings()})
	if err != nil || len(results) != 1 || results[0].Status != Failed {
		t.Fatalf("got %v, %v; want one failed check", results, err)
	}
}

func TestInterruptEndsTheChecks(t *testing.T) {
	f := healthy(t)
	api, err := Open(f.kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	results, err := Run(ctx, api, Options{Config: settings(), Now: func() time.Time { return now }, Report: func(r Result) {
		if r.Check == "nodes" {
			cancel()
		}
	}})
	if err == nil || len(results) > 3 {
		t.Errorf("got %d results and %v, want the checks to end after nodes", len(results), err)
	}
}

func TestOnlyNodesOfTheSettingsCount(t *testing.T) {
	c := settings()
	c.Nodes = append(c.Nodes, config.Node{Name: "worker-2", Role: config.Worker})
	r := healthy(t).check(t, Options{Config: c})["nodes"]
	if r.Status != Failed || !strings.Contains(r.Message, "worker-2 is missing") {
		t.Errorf("nodes is %q: %q", r.Status, r.Message)
	}
}
