package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"kubeadm-aws/internal/sandbox/store"
)

func checkJSON(field string) func(*awsCall) error {
	return func(c *awsCall) error {
		if !json.Valid([]byte(c.Inputs.Str(field))) {
			return fmt.Errorf("InvalidParameterException: %s is not JSON", field)
		}
		return nil
	}
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func checkBucket(c *awsCall) error {
	name := c.Inputs.Str("bucket")
	if !bucketName.MatchString(name) || strings.Contains(name, "..") || strings.HasPrefix(name, "xn--") {
		return fmt.Errorf("InvalidBucketName: %q", name)
	}
	for _, o := range c.All(bucketType) {
		if o.ID == name && (c.object == nil || o != c.object) {
			return fmt.Errorf("BucketAlreadyOwnedByYou: %s", name)
		}
	}
	return nil
}

func bucketEmpty(c *awsCall) error {
	n := len(c.objectsIn(c.object.ID))
	if n > 0 && !c.object.Inputs.Flag("forceDestroy") {
		return fmt.Errorf("BucketNotEmpty: the bucket %s holds %d objects and forceDestroy is not set", c.object.ID, n)
	}
	return nil
}

// bucketObjectsGone removes the objects before the bucket, as forceDestroy does.
func bucketObjectsGone(c *awsCall) {
	for _, o := range c.objectsIn(c.object.ID) {
		if o.State.Has("snapshots") {
			c.snapshotGone()
		}
		c.Remove(o)
	}
}

func (c *awsCall) objectsIn(bucket string) []*store.Object {
	return c.Where(func(o *store.Object) bool {
		return o.Type == bucketObjectType && o.Inputs.Str("bucket") == bucket
	})
}

var repositoryName = regexp.MustCompile(`^[a-z0-9]+([._/-][a-z0-9]+)*$`)

func checkRepository(c *awsCall) error {
	if name := c.Inputs.Str("name"); !repositoryName.MatchString(name) || len(name) > 256 || len(name) < 2 {
		return fmt.Errorf("InvalidParameterException: %q is not a repository name", name)
	}
	return nil
}

func repositoryEmpty(c *awsCall) error {
	if c.object.State.Number("images") > 0 && !c.object.Inputs.Flag("forceDelete") {
		return errors.New("RepositoryNotEmptyException: the repository holds images and forceDelete is not set")
	}
	return nil
}
