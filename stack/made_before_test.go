package stack_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"kubeadm-aws/internal/sandbox"
	"kubeadm-aws/stack"
)

// irreplaceable are the resource types that a running stack may neither lose nor replace: machines, resources with
// data, addresses and keys that others use, and releases, whose removal deletes all objects of an add-on.
var irreplaceable = []string{
	"aws:ec2/instance:Instance", "aws:ec2/eip:Eip", "aws:ec2/eipAssociation:EipAssociation", "aws:ec2/keyPair:KeyPair",
	"aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/internetGateway:InternetGateway", "aws:ec2/routeTable:RouteTable",
	"aws:ec2/securityGroup:SecurityGroup", "aws:ec2/route:Route", "aws:ec2/routeTableAssociation:RouteTableAssociation",
	"aws:ebs/volume:Volume", "aws:s3/bucketV2:BucketV2", "aws:ecr/repository:Repository", "aws:route53/zone:Zone",
	"aws:acm/certificate:Certificate", "aws:iam/role:Role", "aws:iam/instanceProfile:InstanceProfile",
	"tls:index/privateKey:PrivateKey", "tls:index/selfSignedCert:SelfSignedCert",
	"random:index/randomPassword:RandomPassword", "random:index/randomId:RandomId", "random:index/randomBytes:RandomBytes",
	"kubernetes:helm.sh/v3:Release", "kubernetes:core/v1:Namespace", "k8s/PersistentVolumeClaim",
	"kubernetes:rabbitmq.com/v1beta1:RabbitmqCluster", "kubernetes:postgresql.cnpg.io/v1:Cluster",
}

// madeBy are the folders of testdata with stacks of older programs. In their states, commands contain the scripts,
// also those that run on delete.
var madeBy = []string{"made-by-3fdc37a", "made-by-9365dac"}

// TestAStackMadeBefore brings up stacks that the programs of older commits created, with the settings of that time.
// The folder of each holds the settings, the exported state with its secrets in plain text, and the journal of the
// simulated account. If the format of that journal changes, the sandbox must continue to read the old one.
// To create such a folder from another commit: build the driver there, `make up STACK=dev`, then copy `pulumi stack
// export --show-secrets` and .sandbox/dev/account/account.jsonl.
func TestAStackMadeBefore(t *testing.T) {
	for _, stack := range stacksMadeBefore() {
		t.Run(stack, func(t *testing.T) {
			r := madeBefore(t, path.Dir(stack), path.Base(stack))
			had := r.irreplaceableObjects()
			if len(had) < 30 {
				t.Fatalf("the account has only %d objects that count; the test looks in the wrong place", len(had))
			}
			for _, o := range []outcome{r.preview().must(t), r.up().must(t)} {
				for _, line := range lostBy(o.changes) {
					t.Errorf("a stack that runs would lose a resource: %s", line)
				}
				for _, line := range o.changes {
					if strings.HasSuffix(line, "-drain") {
						t.Errorf("a worker leaves service without an upgrade: %s", line)
					}
				}
				t.Logf("%d changes:\n%s", len(o.changes), strings.Join(o.changes, "\n"))
			}
			has := r.irreplaceableObjects()
			for _, object := range had {
				if !slices.Contains(has, object) {
					t.Errorf("%s is no longer in the account", object)
				}
			}
			r.up(optup.ExpectNoChanges()).mustNotChange(t)
		})
	}
}

// stacksMadeBefore returns the folders of the stacks below testdata.
func stacksMadeBefore() []string {
	var stacks []string
	for _, folder := range madeBy {
		for _, name := range []string{"dev", "staging", "prod"} {
			stacks = append(stacks, path.Join(folder, name))
		}
	}
	return stacks
}

// lostBy returns the changes that replace or delete an irreplaceable resource.
func lostBy(changes []string) []string {
	return slices.DeleteFunc(slices.Clone(changes), func(line string) bool {
		words := strings.Fields(line)
		lost := strings.Contains(words[0], "replace") || strings.Contains(words[0], "delete")
		return !lost || !slices.Contains(irreplaceable, words[1])
	})
}

// TestALostResourceIsSeen checks the check: a new generation replaces a machine.
func TestALostResourceIsSeen(t *testing.T) {
	r := madeBefore(t, "made-by-3fdc37a", "dev")
	r.set(map[string]any{"kubeadm-aws:image": map[string]any{"generation": "2"}})
	if lost := lostBy(r.preview().must(t).changes); !strings.Contains(strings.Join(lost, "\n"),
		"aws:ec2/instance:Instance worker-1") {
		t.Errorf("a replaced machine is not seen: %q", lost)
	}
}

func (r *simulation) irreplaceableObjects() []string {
	var objects []string
	for _, typ := range irreplaceable {
		objects = append(objects, r.box.Account(typ)...)
	}
	return objects
}

// madeBefore returns a stack from a folder of testdata.
func madeBefore(t *testing.T, folder, name string) *simulation {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the Pulumi engine")
	}
	from := filepath.Join("testdata", folder, name)
	project := t.TempDir()
	copyFile(t, filepath.Join("..", "Pulumi.yaml"), filepath.Join(project, "Pulumi.yaml"))
	copyFile(t, filepath.Join(from, "Pulumi."+name+".yaml"), filepath.Join(project, "Pulumi."+name+".yaml"))
	r := &simulation{t: t, workspace: sandbox.Workspace{Project: project, Dir: t.TempDir(), Stack: name,
		Program: stack.Deploy}}
	journal := unzipped(t, filepath.Join(from, "account.jsonl.gz"))
	if err := os.WriteFile(filepath.Join(r.workspace.Dir, "account.jsonl"), journal, 0o600); err != nil {
		t.Fatal(err)
	}
	followMessages(t, filepath.Join(project, "Pulumi."+name+".yaml"))
	r.start()
	t.Cleanup(func() { r.box.Close() })
	var exported apitype.UntypedDeployment
	state := &apitype.DeploymentV3{}
	if err := json.Unmarshal(unzipped(t, filepath.Join(from, "state.json.gz")), &exported); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(exported.Deployment, state); err != nil {
		t.Fatal(err)
	}
	r.believe(state)
	return r
}

// followMessages changes the settings that were replaced since, as the refusing message says.
func followMessages(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	now := strings.NewReplacer(`schedule: hourly`, `everyHours: 1`, `schedule: "*-*-* 00/6:00:00"`,
		`everyHours: 6`).Replace(string(text))
	if err := os.WriteFile(path, []byte(now), 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func unzipped(t *testing.T, path string) []byte {
	t.Helper()
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return text
}

// Repositories of an older stack stay with their images, also when the stack is destroyed. A later version, which has
// no repositories, depends on the same entries of the state.
func TestRepositoriesOfAnOlderStackOutliveIt(t *testing.T) {
	for _, name := range []string{"dev", "prod"} {
		t.Run(name, func(t *testing.T) {
			r := madeBefore(t, "made-by-3fdc37a", name)
			const kind = "aws:ecr/repository:Repository"
			had := r.box.Account(kind)
			if len(had) == 0 {
				t.Fatal("the stack has no repositories")
			}
			for _, res := range r.resources() {
				if res.Type == kind {
					if err := r.box.AWS.PushImage(res.Outputs["name"].(string)); err != nil {
						t.Fatal(err)
					}
				}
			}
			o := r.up().must(t)
			if !strings.Contains(o.printed, "stay in AWS when it is destroyed") {
				t.Error("nothing says that the repositories stay")
			}
			seen := 0
			for _, res := range r.resources() {
				if strings.HasPrefix(string(res.Type), "aws:ecr/") {
					seen++
					if !res.RetainOnDelete || res.Protect {
						t.Errorf("%s: retained %v, protected %v", res.URN, res.RetainOnDelete, res.Protect)
					}
				}
			}
			if seen != 2*len(had) {
				t.Errorf("%d resources of ECR for %d repositories", seen, len(had))
			}
			r.set(map[string]any{"kubeadm-aws:protection": map[string]any{"protect": false}})
			r.up().must(t)
			r.destroy().must(t)
			if has := r.box.Account(kind); !slices.Equal(has, had) {
				t.Errorf("the account has the repositories %v, had %v", has, had)
			}
		})
	}
}
