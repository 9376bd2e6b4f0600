package aws

import (
	"errors"
	"fmt"
	"strings"

	"kubeadm-aws/internal/sandbox/backend"
	"kubeadm-aws/internal/sandbox/engine"
	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

// Console makes the changes that people, controllers and AWS itself make in the account, outside Pulumi, and answers
// what a client of AWS can ask. The changes act on the simulation only, not on a Backend.
type Console struct {
	account *Account
	backend backend.Backend
}

// NewConsole returns the console of an account. b is nil in a simulation.
func NewConsole(a *Account, b backend.Backend) Console { return Console{a, b} }

// TerminateInstance ends an instance in the console, by its Name tag or by the name of its node.
func (u Console) TerminateInstance(name string) error {
	return u.onMachine(name, func(a *Account, machine *store.Object) error {
		c := &call{Account: a, Request: &engine.Request{}, object: machine}
		c.dissolve(resourceTypes[InstanceType])
		return nil
	})
}

// onMachine changes an instance, by its Name tag or the name of its node.
func (u Console) onMachine(name string, do func(a *Account, machine *store.Object) error) error {
	a := u.account
	a.Lock()
	defer a.Unlock()
	machine := a.machineNamed(name)
	if machine == nil {
		return fmt.Errorf("an instance %s: %w", name, ErrNotFound)
	}
	return do(a, machine)
}

// DisassociateAddress disassociates the Elastic IP from an instance in the console, by its Name tag or the name of its
// node.
func (u Console) DisassociateAddress(name string) error {
	return u.onMachine(name, func(a *Account, machine *store.Object) error {
		for _, o := range a.All(EIPAssociationType) {
			if o.Inputs.Str("instanceId") == machine.ID {
				a.Remove(o)
				return nil
			}
		}
		return fmt.Errorf("an Elastic IP of %s: %w", name, ErrNotFound)
	})
}

// machineNamed finds an instance by its Name tag or by its logical name, which is the name of its node.
func (a *Account) machineNamed(name string) *store.Object {
	for _, i := range a.All(InstanceType) {
		if i.Tags()["Name"] == name || strings.HasSuffix(i.URN, "::"+name) {
			return i
		}
	}
	return nil
}

// PutObject stores an object in a bucket, as the backup timer does.
func (u Console) PutObject(bucket, key string) error {
	a := u.account
	a.Lock()
	defer a.Unlock()
	if a.Find(BucketType, bucket) == nil {
		return fmt.Errorf("a bucket %s: %w", bucket, ErrNotFound)
	}
	a.Put(&store.Object{Type: BucketObjectType, ID: bucket + "/" + key, Inputs: props.Map{"bucket": bucket, "key": key},
		State: props.Map{}})
	return nil
}

// PushImage stores an image in an ECR repository.
func (u Console) PushImage(repository string) error {
	u.account.Lock()
	defer u.account.Unlock()
	found := u.account.Find(repositoryType, repository)
	if found == nil {
		return fmt.Errorf("a repository %s: %w", repository, ErrNotFound)
	}
	u.account.Change(found, func(_, state props.Map) { state["images"] = state.Number("images") + 1 })
	return nil
}

// PublishImages makes the vendors' public parameters return newer machine images.
func (u Console) PublishImages(generation string) {
	u.account.Lock()
	defer u.account.Unlock()
	u.account.Put(&store.Object{Type: "host/images", ID: "generation", State: props.Map{"value": generation}})
}

// CreateNamesake makes a VPC with a machine of another cluster that has the same name. The leftovers of the stack do
// not include them.
func (u Console) CreateNamesake(cluster, vpc, instance string) {
	u.account.Lock()
	defer u.account.Unlock()
	before := props.Map{"before": true}
	tags := map[string]any{ClusterTag + cluster: "owned"}
	u.account.Put(&store.Object{Type: VPCType, ID: vpc, Inputs: props.Map{"cidrBlock": "10.99.0.0/16", "tags": tags},
		State: before})
	u.account.Put(&store.Object{Type: SubnetType, ID: "subnet-of-" + vpc,
		Inputs: props.Map{"vpcId": vpc, "cidrBlock": "10.99.0.0/24"}, State: before})
	u.account.Put(&store.Object{Type: InstanceType, ID: instance,
		Inputs: props.Map{"subnetId": "subnet-of-" + vpc, "tags": tags}, State: before})
}

// CreateRecord makes a record that the stack does not own in the public zone of a domain.
func (u Console) CreateRecord(domain, name, kind string) {
	u.account.Lock()
	defer u.account.Unlock()
	before := props.Map{"before": true}
	zone := zoneBefore(domain)
	u.account.Put(zone)
	u.account.Put(&store.Object{Type: recordType, ID: zone.ID + "_" + name,
		Inputs: props.Map{"zoneId": zone.ID, "name": name, "type": kind, "ttl": 60, "records": []any{"192.0.2.1"}},
		State:  before})
}

// ErrNotFound is wrapped by the error of an action whose target does not exist.
var ErrNotFound = errors.New("not there")
