package aws

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"kubeadm-aws/internal/sandbox/props"
	"kubeadm-aws/internal/sandbox/store"
)

func checkJSON(field string) func(*call) error {
	return func(c *call) error {
		if !json.Valid([]byte(c.Inputs.Str(field))) {
			return fmt.Errorf("InvalidParameterException: %s is not JSON", field)
		}
		return nil
	}
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func checkBucket(c *call) error {
	name := c.Inputs.Str("bucket")
	if !bucketName.MatchString(name) || strings.Contains(name, "..") || strings.HasPrefix(name, "xn--") {
		return fmt.Errorf("InvalidBucketName: %q", name)
	}
	for _, o := range c.All(BucketType) {
		if o.ID == name && (c.object == nil || o != c.object) {
			return fmt.Errorf("BucketAlreadyOwnedByYou: %s", name)
		}
	}
	return nil
}

// checkBucketPolicy refuses a policy that allows everybody something, as S3 does while the account or the bucket blocks
// public policies. A new bucket blocks them until its own setting allows them.
func checkBucketPolicy(c *call) error {
	if err := checkPolicyDocument("policy")(c); err != nil || !isPublic(c.Inputs.Str("policy")) {
		return err
	}
	blocked := true
	for _, o := range c.All(publicBlockType) {
		if o.Inputs.Str("bucket") == c.Inputs.Str("bucket") {
			blocked = o.Inputs.Flag("blockPublicPolicy")
		}
	}
	if blocked || c.limits.BlocksPublicPolicies {
		return fmt.Errorf("AccessDenied: PutBucketPolicy on %s: public policies are blocked by the BlockPublicPolicy "+
			"setting in S3 Block Public Access", c.Inputs.Str("bucket"))
	}
	return nil
}

// isPublic reports whether a policy allows something to everybody. A condition counts as a limit.
func isPublic(document string) bool {
	var doc struct{ Statement []map[string]any }
	_ = json.Unmarshal([]byte(document), &doc) // checkPolicyDocument has parsed it
	for _, s := range doc.Statement {
		principal, _ := s["Principal"].(map[string]any)
		everybody := s["Principal"] == "*" || slices.Contains(props.Map(principal).Strings("AWS"), "*")
		if s["Effect"] == "Allow" && everybody && s["Condition"] == nil {
			return true
		}
	}
	return false
}

// bucketEmpty refuses to delete a bucket with objects, unless forceDestroy is set.
func bucketEmpty(c *call) error {
	n := len(c.objectsIn(c.object.ID))
	if n > 0 && !c.object.Inputs.Flag("forceDestroy") {
		return fmt.Errorf("BucketNotEmpty: the bucket %s holds %d objects and forceDestroy is not set", c.object.ID, n)
	}
	return nil
}

// bucketObjectsGone removes the objects before the bucket, as forceDestroy does.
func bucketObjectsGone(c *call) {
	for _, o := range c.objectsIn(c.object.ID) {
		if o.State.Has("snapshots") {
			c.SnapshotGone()
		}
		c.Remove(o)
	}
}

func (c *call) objectsIn(bucket string) []*store.Object {
	return c.Where(func(o *store.Object) bool {
		return o.Type == BucketObjectType && o.Inputs.Str("bucket") == bucket
	})
}

var repositoryName = regexp.MustCompile(`^[a-z0-9]+([._/-][a-z0-9]+)*$`)

func checkRepository(c *call) error {
	if name := c.Inputs.Str("name"); !repositoryName.MatchString(name) || len(name) > 256 || len(name) < 2 {
		return fmt.Errorf("InvalidParameterException: %q is not a repository name", name)
	}
	return nil
}

// repositoryEmpty refuses to delete a repository with images, unless forceDelete is set.
func repositoryEmpty(c *call) error {
	if c.object.State.Number("images") > 0 && !c.object.Inputs.Flag("forceDelete") {
		return errors.New("RepositoryNotEmptyException: the repository holds images and forceDelete is not set")
	}
	return nil
}

// SnapshotPrefix precedes the types of the objects that a snapshot holds.
const SnapshotPrefix = "snapshot/"

// SnapshotGone removes the objects of the snapshot: before the next one is taken, or when its bucket is deleted.
func (a *Account) SnapshotGone() {
	for _, o := range a.Where(func(o *store.Object) bool { return strings.HasPrefix(o.Type, SnapshotPrefix) }) {
		a.Remove(o)
	}
}
