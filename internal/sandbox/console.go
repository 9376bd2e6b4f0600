package sandbox

import (
	"fmt"
	"strings"

	"kubeadm-aws/internal/sandbox/props"
)

// awsConsole makes the changes that people, controllers and AWS itself make in the account, outside Pulumi, and answers
// what a client of AWS can ask. The changes act on the simulation only, not on a Backend.
type awsConsole struct {
	*awsAccount
	backend Backend
}

// TerminateInstance ends an instance in the console, by its Name tag or by the name of its node.
func (u awsConsole) TerminateInstance(name string) error {
	return u.onMachine(name, func(a *awsAccount, machine *object) error {
		c := &awsCall{awsAccount: a, request: &request{}, object: machine}
		c.dissolve(awsTypes[instanceType])
		return nil
	})
}

// onMachine does something to an instance, by its Name tag or the name of its node.
func (u awsConsole) onMachine(name string, do func(a *awsAccount, machine *object) error) error {
	a := u.awsAccount
	a.Lock()
	defer a.Unlock()
	machine := a.machineNamed(name)
	if machine == nil {
		return fmt.Errorf("an instance %s: %w", name, errNotThere)
	}
	return do(a, machine)
}

// DisassociateAddress takes the Elastic IP away from an instance in the console, by its Name tag or the name of its node.
func (u awsConsole) DisassociateAddress(name string) error {
	return u.onMachine(name, func(a *awsAccount, machine *object) error {
		for _, o := range a.all(eipAssociationType) {
			if o.Inputs.Str("instanceId") == machine.ID {
				a.remove(o)
				return nil
			}
		}
		return fmt.Errorf("an Elastic IP of %s: %w", name, errNotThere)
	})
}

// machineNamed finds an instance by its Name tag or by its logical name, which is the name of its node.
func (a *awsAccount) machineNamed(name string) *object {
	for _, i := range a.all(instanceType) {
		if i.tags()["Name"] == name || strings.HasSuffix(i.URN, "::"+name) {
			return i
		}
	}
	return nil
}

// PutObject stores an object in a bucket, as the backup timer does.
func (u awsConsole) PutObject(bucket, key string) error {
	a := u.awsAccount
	a.Lock()
	defer a.Unlock()
	if a.find(bucketType, bucket) == nil {
		return fmt.Errorf("a bucket %s: %w", bucket, errNotThere)
	}
	a.put(&object{Type: bucketObjectType, ID: bucket + "/" + key, Inputs: props.Map{"bucket": bucket, "key": key}, State: props.Map{}})
	return nil
}

// PushImage stores an image in an ECR repository.
func (u awsConsole) PushImage(repository string) error {
	u.Lock()
	defer u.Unlock()
	found := u.find(repositoryType, repository)
	if found == nil {
		return fmt.Errorf("a repository %s: %w", repository, errNotThere)
	}
	u.change(found, func(_, state props.Map) { state["images"] = state.Number("images") + 1 })
	return nil
}

// PublishImages makes the vendors' public parameters return newer machine images.
func (u awsConsole) PublishImages(generation string) {
	u.Lock()
	defer u.Unlock()
	u.put(&object{Type: "host/images", ID: "generation", State: props.Map{"value": generation}})
}

// CreateNamesake makes a VPC with a machine of another cluster that has the same name. It is not among the leftovers.
func (u awsConsole) CreateNamesake(cluster, vpc, instance string) {
	u.Lock()
	defer u.Unlock()
	before := props.Map{"before": true}
	tags := map[string]any{clusterTag + cluster: "owned"}
	u.put(&object{Type: vpcType, ID: vpc, Inputs: props.Map{"cidrBlock": "10.99.0.0/16", "tags": tags}, State: before})
	u.put(&object{Type: subnetType, ID: "subnet-of-" + vpc, Inputs: props.Map{"vpcId": vpc, "cidrBlock": "10.99.0.0/24"}, State: before})
	u.put(&object{Type: instanceType, ID: instance, Inputs: props.Map{"subnetId": "subnet-of-" + vpc, "tags": tags}, State: before})
}
