package aws

// resourceType is one row of the table: the inputs, outputs and deletion rules of a resource type.
type resourceType struct {
	// id is the prefix of a generated id such as "vpc-", or a template of an id made from properties: "{role}:{name}".
	id string
	// required are the inputs without which Check refuses a resource, before anything is planned.
	required []string
	// refs are the inputs that name other resources.
	refs []ref
	// unique are inputs that, taken together, no two objects of the type may share.
	unique []string
	// autoname is the input that gets a random name when the program gives none.
	autoname string
	// replace are the inputs whose change needs a new resource, as dotted paths; "*" is all of them.
	replace []string
	// deleteFirst makes a replacement delete the old object before it creates the new one.
	deleteFirst bool
	// check returns the error that AWS would return at creation and update, beyond references and uniqueness. May be nil.
	check func(c *call) error
	// outputs are the outputs in addition to the inputs. Each is a template such as
	// "arn:aws:ec2:{region}:{account}:vpc/{id}", or a func(*call) any.
	outputs map[string]any
	// created and deleted change other objects of the account when an object is created or deleted. May be nil.
	created, deleted func(c *call)
	// deletable returns the error that AWS would return at a deletion, beyond references. May be nil.
	deletable func(c *call) error
	// untagged types have no tagsAll.
	untagged bool
}

// hold is the effect of a reference on the deletion of its target.
type hold int

const (
	// blocks: the target cannot be deleted (DependencyViolation).
	blocks hold = iota
	// follows: the referring object is deleted with the target.
	follows
	// loose: the target can be deleted, and the referring object stays.
	loose
)

// ref is an input, a text or a list of texts, that names objects of a type.
type ref struct {
	field string
	// to is the type, or several separated by "|".
	to string
	// by is the property of the target whose value the field contains. Empty means its id.
	by   string
	hold hold
}
