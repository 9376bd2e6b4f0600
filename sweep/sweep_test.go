package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"kubeadm-aws/config"

	"kubeadm-aws/sweep/receipt"
)

func TestTwoClustersSideBySide(t *testing.T) {
	w := newExternal(t)
	one, two := w.newVPC("one"), w.newVPC("two")
	left := one.leave()
	two.leave()
	// Another cluster of this name elsewhere: the tags match, the VPC does not.
	w.newVPC("one").balancer("k8s-namesake", one.ofController())
	before := w.inventory()

	file := filepath.Join(t.TempDir(), "receipt.json")
	out := sweepIt(t, "--cluster", "one", "--vpc", one.id, "--zone", w.zone, "--volumes", "delete", "--receipt", file)

	if out.code != exitClean {
		t.Fatalf("exit code %d\n%s%s", out.code, out.stdout, out.stderr)
	}
	if got, want := gone(before, w.inventory()), left.all(); !slices.Equal(got, want) {
		t.Errorf("removed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !strings.HasSuffix(out.stdout, "\n0 left\n") {
		t.Errorf("the receipt does not end with 0 left:\n%s", out.stdout)
	}
	r := readReceipt(t, file)
	if got := ids(r.Removed); !slices.Equal(got, left.all()) {
		t.Errorf("the receipt says removed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(left.all(), "\n"))
	}
	if !slices.Equal(ids(r.Found), ids(r.Removed)) || len(r.Left) != 0 || r.Error != "" {
		t.Errorf("found %d, removed %d, left %v, error %q", len(r.Found), len(r.Removed), r.Left, r.Error)
	}

	again := sweepIt(t, "--cluster", "one", "--vpc", one.id, "--zone", w.zone, "--volumes", "delete")
	if again.code != exitClean || !strings.Contains(again.stdout, "0 found, 0 removed") {
		t.Errorf("a second run: exit code %d\n%s%s", again.code, again.stdout, again.stderr)
	}
}

func TestVolumesAreKeptByNameWhenAsked(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	left := v.leave()
	backup := w.snapshot(left.volumes[0], v.claimed("data", "rabbitmq-0"))
	before := w.inventory()

	file := filepath.Join(t.TempDir(), "receipt.json")
	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--zone", w.zone, "--volumes", "keep", "--receipt", file)

	if out.code != exitClean {
		t.Fatalf("exit code %d\n%s%s", out.code, out.stdout, out.stderr)
	}
	want := slices.DeleteFunc(left.all(), func(id string) bool { return slices.Contains(left.volumes, id) })
	if got := gone(before, w.inventory()); !slices.Equal(got, want) {
		t.Errorf("removed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	kept := readReceipt(t, file).Kept
	if got, want := ids(kept), sorted(append([]string{backup}, left.volumes...)); !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	for _, name := range []string{"PVC data/rabbitmq-0", "PVC monitoring/prometheus-0", "10 GiB in eu-central-1a"} {
		if !strings.Contains(out.stdout, name) {
			t.Errorf("the receipt does not name %q:\n%s", name, out.stdout)
		}
	}
}

func TestSnapshotsStayWhenVolumesGo(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	volume := w.volume(v.claimed("data", "db"))
	backup := w.snapshot(volume, v.claimed("data", "db"))

	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--volumes", "delete")

	now := w.inventory()
	if out.code != exitClean || slices.Contains(now, volume) || !slices.Contains(now, backup) {
		t.Errorf("exit code %d, volume there %v, snapshot there %v\n%s", out.code, slices.Contains(now, volume),
			slices.Contains(now, backup), out.stdout)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	left := v.leave()
	v.instance() // a dry run shows the resources of a running cluster
	before := w.inventory()

	file := filepath.Join(t.TempDir(), "receipt.json")
	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--zone", w.zone, "--volumes", "delete", "--dry-run", "--receipt",
		file)

	if got := w.inventory(); out.code != exitClean || !slices.Equal(got, before) {
		t.Errorf("exit code %d, removed %v", out.code, gone(before, got))
	}
	r := readReceipt(t, file)
	if !slices.Equal(ids(r.Left), left.all()) || len(r.Removed) != 0 || !r.DryRun || len(r.Instances) != 1 {
		t.Errorf("the receipt lists %v, removed %v, instances %v", ids(r.Left), r.Removed, r.Instances)
	}
}

func TestWhatCarriesNoTagStays(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	lb, _, _, dns := v.balancer("by-hand", nil)
	foreign := []string{lb, v.classicBalancer("by-hand-too", nil), v.networkInterface("by hand", nil),
		v.group("by-hand", nil)}
	w.volume(nil)
	w.volume([]string{tagVolumeDriver, "another"})
	w.volume([]string{tagCloudProvider + "dev", "shared"})
	w.volume(v.owned(tagProject, "dev", tagManagedBy, managedByPulumi)) // a root disk
	v.networkInterface("of Pulumi", v.owned(tagManagedBy, managedByPulumi))
	w.alias("hand.example.com", dns)
	w.address("www.example.com", "192.0.2.7")
	before := w.inventory()

	file := filepath.Join(t.TempDir(), "receipt.json")
	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--zone", w.zone, "--volumes", "delete", "--receipt", file)

	if got := w.inventory(); out.code != exitClean || !slices.Equal(got, before) {
		t.Errorf("exit code %d, removed %v\n%s", out.code, gone(before, got), out.stdout)
	}
	// moto creates a group of its own for a classic load balancer.
	untouched := slices.DeleteFunc(readReceipt(t, file).NotTouched,
		func(i Item) bool { return strings.HasPrefix(i.Name, "default_elb") })
	if got := ids(untouched); !slices.Equal(got, sorted(foreign)) {
		t.Errorf("named as not touched: %v, want %v", got, sorted(foreign))
	}
}

func TestRecordsOfOthersStay(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	left := v.leave()
	kept := []string{
		w.address("www.example.com", "192.0.2.7"),
		w.alias("elsewhere.example.com", "dualstack.another-1.eu-central-1.elb.amazonaws.com"),
	}

	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--zone", w.zone, "--volumes", "delete")

	now := w.inventory()
	for _, id := range left.records {
		if slices.Contains(now, id) {
			t.Errorf("%s is still there", id)
		}
	}
	for _, id := range kept {
		if !slices.Contains(now, id) {
			t.Errorf("%s was removed", id)
		}
	}
	if out.code != exitClean {
		t.Errorf("exit code %d\n%s", out.code, out.stderr)
	}
}

func TestPulumisGroupsStayWithTheirOwnRules(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	backend := v.group("backend", []string{tagProject, "dev", tagManagedBy, managedByPulumi})
	own := v.rule(v.nodes, "NodePorts from the load balancer", backend)
	// moto loses the description of a rule that refers to a group, so this rule has addresses.
	controllers := v.rule(v.nodes, controllerRule+"targetGroupBinding=shared", "")

	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--volumes", "delete")

	now := w.inventory()
	if out.code != exitClean || !slices.Contains(now, own) || !slices.Contains(now, v.nodes) ||
		!slices.Contains(now, backend) {
		t.Errorf("exit code %d, or a resource of Pulumi is missing\n%s", out.code, out.stdout)
	}
	if slices.Contains(now, controllers) {
		t.Errorf("the controller's rule %s is still in Pulumi's group", controllers)
	}
}

func TestALivingClusterIsRefused(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	v.leave()
	id := v.instance()
	before := w.inventory()

	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--volumes", "delete")

	if got := w.inventory(); out.code != exitLeft || !slices.Equal(got, before) {
		t.Errorf("exit code %d, removed %v", out.code, gone(before, got))
	}
	for _, want := range []string{id, "worker-1", "nothing was removed", "terminate-instances"} {
		if !strings.Contains(out.stderr, want) {
			t.Errorf("the error does not say %q:\n%s", want, out.stderr)
		}
	}

	must(w.aws.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))
	if out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--volumes", "delete"); out.code != exitClean {
		t.Errorf("after the instance was terminated: exit code %d\n%s", out.code, out.stderr)
	}
}

func TestAGroupThatAStrangerRefersToIsNamed(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	group := v.group("k8s-traffic-dev", v.ofController())
	stranger := v.group("database-by-hand", nil)
	rule := v.rule(stranger, "from the cluster", group)

	file := filepath.Join(t.TempDir(), "receipt.json")
	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--volumes", "delete", "--receipt", file)

	if out.code != exitLeft {
		t.Errorf("exit code %d", out.code)
	}
	if !slices.Contains(w.inventory(), rule) {
		t.Error("a rule in a group without the cluster's tags was revoked")
	}
	for _, want := range []string{"1 left", group, "k8s-traffic-dev", stranger, "database-by-hand"} {
		if !strings.Contains(out.stderr, want) {
			t.Errorf("the error does not say %q:\n%s", want, out.stderr)
		}
	}
	if !strings.HasSuffix(out.stdout, "\n1 left\n") {
		t.Errorf("the receipt does not end with 1 left:\n%s", out.stdout)
	}
	r := readReceipt(t, file)
	if len(r.Left) != 1 || r.Left[0].ID != group || !strings.Contains(r.Left[0].Reason, stranger) || r.Error == "" {
		t.Errorf("the receipt says left %v, error %q", r.Left, r.Error)
	}
}

func TestUsage(t *testing.T) {
	pointTo(t, "http://127.0.0.1:1") // no server listens: a usage error precedes any call
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"nothing": {[]string{}, "--cluster is missing; --volumes is \"\": say delete or keep; --vpc is missing"},
		"volumes": {[]string{"--cluster", "a", "--vpc", "b", "--volumes", "maybe"},
			`--volumes is "maybe": say delete or keep`},
		"an argument": {[]string{"--cluster", "a", "--vpc", "b", "--volumes", "keep", "now"},
			`unexpected argument "now"`},
		"an unknown flag": {[]string{"--force"}, "flag provided but not defined: -force"},
		"no time": {[]string{"--cluster", "a", "--vpc", "b", "--volumes", "keep", "--timeout", "0s"},
			"--timeout must be more than 0"},
	} {
		t.Run(name, func(t *testing.T) {
			out := sweepIt(t, test.args...)
			if out.code != exitUsage || !strings.Contains(out.stderr, test.want) {
				t.Errorf("exit code %d, want %d and %q in\n%s", out.code, exitUsage, test.want, out.stderr)
			}
		})
	}
}

func readReceipt(t *testing.T, file string) receipt.Receipt {
	t.Helper()
	r, err := receipt.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return *r
}

func ids(items []Item) []string {
	list := make([]string, len(items))
	for i, item := range items {
		list[i] = item.ID
	}
	return sorted(list)
}

// The sweep has its own copies of these keys, because package config imports the Pulumi SDK. They must be equal.
func TestTagsAreThoseOfTheProgram(t *testing.T) {
	if tagVPC != config.TagVPC {
		t.Errorf("volumes carry %s, the sweep looks for %s", config.TagVPC, tagVPC)
	}
	cfg := config.Config{Cluster: config.Cluster{Name: "dev"}}
	s := scope{cluster: "dev"}
	if !s.pulumiOwns(cfg.PulumiTags()) {
		t.Errorf("the sweep does not recognise Pulumi's resources by %v", cfg.PulumiTags())
	}
	made := cfg.PulumiTags()
	made[tagCloudProvider+"dev"] = "owned"
	if s.owns(made) {
		t.Errorf("the sweep would remove what Pulumi made: %v", made)
	}
	handed := cfg.Tags()
	handed[tagLoadBalancerController] = "dev"
	if !s.owns(handed) {
		t.Errorf("the sweep would leave what a controller made with the default tags: %v", handed)
	}
}
