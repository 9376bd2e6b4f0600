package account

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/config"
)

// Namespace is the name of the Pulumi project, the prefix of every key in Pulumi.account.yaml.
const Namespace = "kubeadm-aws-bootstrap"

// Settings are the keys of the stack below Namespace, with defaults filled in.
type Settings struct {
	// Repository is the GitHub repository whose pipelines get the roles.
	Repository Repository
	// MainBranch is the branch whose builds may push images.
	MainBranch string
	// Environments are the names of the stacks of clusters.
	Environments []string
	// Clusters are the names of clusters by environment: cluster.name of the stacks, and the setting for stacks whose
	// files are not in this project.
	Clusters map[string]string
	// Images are the names of the repositories in the image registry. ImportImages are those of Images that exist already.
	Images, ImportImages []string
	// KeepUntaggedDays is how long an image that lost its tag, or a signature, stays.
	KeepUntaggedDays int
	// PullAccounts are the ids of other accounts whose clusters pull images.
	PullAccounts []string
	// CreateOIDCProvider makes GitHub's identity provider. An account has one; false uses the one that exists.
	CreateOIDCProvider bool
	// Protect keeps the bucket, the key and the images from being deleted.
	Protect bool

	Region string
}

// Cluster is the name of the cluster of an environment.
func (s *Settings) Cluster(environment string) string {
	if name := s.Clusters[environment]; name != "" {
		return name
	}
	return environment
}

// load reads and checks the settings. get returns the text of a key with its namespace. stacks is the directory with
// the settings files of the clusters' stacks. The error is a config.Errors.
func load(get func(key string) (string, bool), stacks string) (*Settings, error) {
	l := &loader{get: get}
	s := &Settings{
		MainBranch: "main", Environments: []string{"dev", "staging", "prod"}, Images: []string{"app"},
		KeepUntaggedDays: 365, CreateOIDCProvider: true, Protect: true,
	}
	s.Region, _ = get("aws:region")
	l.read("mainBranch", &s.MainBranch)
	l.read("environments", &s.Environments)
	l.read("clusters", &s.Clusters)
	l.read("images", &s.Images)
	l.read("importImages", &s.ImportImages)
	l.read("keepUntaggedDays", &s.KeepUntaggedDays)
	l.read("pullAccounts", &s.PullAccounts)
	l.read("createOidcProvider", &s.CreateOIDCProvider)
	l.read("protect", &s.Protect)
	s.Repository = l.repository()
	l.check(s)
	l.namesOfStacks(s, stacks)
	l.checkClusters(s)
	if len(l.faults) > 0 {
		return nil, l.faults
	}
	return s, nil
}

type loader struct {
	get    func(key string) (string, bool)
	faults config.Errors
}

func (l *loader) fault(key string, value any, reason, example string) {
	text, _ := json.Marshal(value)
	if value == nil {
		text = nil
	}
	l.faults = append(l.faults, config.FieldError{Key: key, Value: string(text), Reason: reason, Example: example})
}

// read decodes a key into a variable. Pulumi hands text over bare and everything else as JSON.
func (l *loader) read(name string, into any) {
	text, ok := l.get(Namespace + ":" + name)
	if !ok {
		return
	}
	if target, isText := into.(*string); isText {
		*target = text
		return
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		kinds := map[string]string{"*[]string": "a list of text", "*map[string]string": "a mapping of text", "*int": "a whole number", "*bool": "true or false"}
		l.fault(Namespace+":"+name, text, "must be "+kinds[fmt.Sprintf("%T", into)], "")
	}
}

// Repository is a GitHub repository. The ids are 0 when they are not known.
type Repository struct {
	Owner, Name           string
	OwnerID, RepositoryID int64
}

var repositoryText = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9-]{0,38})(?:@([1-9][0-9]*))?/([A-Za-z0-9._-]{1,100})(?:@([1-9][0-9]*))?$`)

// repository reads OWNER/NAME or OWNER@ID/NAME@ID.
func (l *loader) repository() Repository {
	const key = Namespace + ":repository"
	text, _ := l.get(key)
	example := "make bootstrap REPOSITORY=OWNER/NAME, or with the ids that GitHub never gives away again: REPOSITORY=\"$(" + IDsCommand("OWNER/NAME") + ")\""
	parts := repositoryText.FindStringSubmatch(text)
	switch {
	case text == "":
		l.fault(key, nil, "is missing: the roles of the pipelines belong to one GitHub repository", example)
	case parts == nil:
		l.fault(key, text, "is not a GitHub repository", example)
	case (parts[2] == "") != (parts[4] == ""):
		l.fault(key, text, "has one id: either both the owner and the repository have an id, or neither", example)
	default:
		owner, _ := strconv.ParseInt(parts[2], 10, 64)
		id, _ := strconv.ParseInt(parts[4], 10, 64)
		return Repository{Owner: parts[1], Name: parts[3], OwnerID: owner, RepositoryID: id}
	}
	return Repository{}
}

// IDsCommand prints a repository in the form with ids.
func IDsCommand(repository string) string {
	return "gh api repos/" + repository + ` --jq '"\(.owner.login)@\(.owner.id)/\(.name)@\(.id)"'`
}

var (
	environmentName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`)
	imageName       = regexp.MustCompile(`^[a-z0-9]+([._/-][a-z0-9]+)*$`)
	accountID       = regexp.MustCompile(`^[0-9]{12}$`)
)

// check finds what AWS or GitHub would refuse, and what would give one environment rights in another.
func (l *loader) check(s *Settings) {
	if !slices.Contains(config.Regions(), s.Region) {
		l.fault("aws:region", s.Region, "is not a region of AWS", "pulumi config set --stack account aws:region eu-central-1")
	}
	l.each("environments", s.Environments, environmentName, "lowercase letters, digits and dashes, at most 20")
	l.each("images", s.Images, imageName, "a name of an ECR repository, such as api or team/api")
	l.each("pullAccounts", s.PullAccounts, accountID, "an AWS account id of 12 digits, in quotes")
	if s.KeepUntaggedDays < 1 {
		l.fault(Namespace+":keepUntaggedDays", s.KeepUntaggedDays, "must be 1 or more", "365")
	}
	if strings.ContainsAny(s.MainBranch, "*? :") || s.MainBranch == "" {
		l.fault(Namespace+":mainBranch", s.MainBranch, "must be the name of one branch", "main")
	}
	for i, name := range s.ImportImages {
		if !slices.Contains(s.Images, name) {
			l.fault(fmt.Sprintf("%s:importImages[%d]", Namespace, i), name, "is not in images, so it would be deleted as soon as it belongs to this stack",
				"add it to images too")
		}
	}
	for environment := range s.Clusters {
		if !slices.Contains(s.Environments, environment) {
			l.fault(Namespace+":clusters", s.Clusters, fmt.Sprintf("names %q, which is not in environments", environment), "")
		}
	}
}

// namesOfStacks completes Clusters with the names in the files of the stacks. The roles are for these names, so another
// name in the setting is refused.
func (l *loader) namesOfStacks(s *Settings, dir string) {
	names := maps.Clone(s.Clusters)
	if names == nil {
		names = map[string]string{}
	}
	for i, environment := range s.Environments {
		if !environmentName.MatchString(environment) {
			continue // check has refused it
		}
		name, err := config.ClusterName(environment, dir)
		switch set := s.Clusters[environment]; {
		case err != nil:
			l.fault(fmt.Sprintf("%s:environments[%d]", Namespace, i), environment,
				"has settings that cannot be read: "+err.Error(), "correct them")
		case name == "":
		case set != "" && set != name:
			l.fault(Namespace+":clusters", set, fmt.Sprintf("is not the name of the cluster of %s: cluster.name in Pulumi.%[1]s.yaml is %s, "+
				"and the roles would be for another cluster", environment, name), "remove "+environment+" from clusters")
		default:
			names[environment] = name
		}
	}
	s.Clusters = names
}

// checkClusters refuses names of clusters of which one begins the other. The role of an environment may change what
// begins with the name of its cluster and a dash.
func (l *loader) checkClusters(s *Settings) {
	taken := map[string]string{"kubeadm-aws": "the state bucket and the roles of this stack"}
	for _, environment := range s.Environments {
		taken[s.Cluster(environment)] = "the environment " + environment
	}
	for _, environment := range s.Environments {
		cluster := s.Cluster(environment)
		for other, of := range taken {
			if other != cluster && strings.HasPrefix(other, cluster+"-") {
				l.fault(Namespace+":clusters", cluster, fmt.Sprintf("begins the name %s of %s, so the role of %s could change those too", other, of, environment),
					"another name for one of them: cluster.name in Pulumi.<environment>.yaml")
			}
		}
	}
}

// each checks the items of a list, which may not repeat.
func (l *loader) each(name string, items []string, valid *regexp.Regexp, want string) {
	for i, item := range items {
		key := fmt.Sprintf("%s:%s[%d]", Namespace, name, i)
		if !valid.MatchString(item) {
			l.fault(key, item, "must be "+want, "")
		}
		if slices.Index(items, item) < i {
			l.fault(key, item, "stands there twice", "")
		}
	}
}

// fromContext loads the settings of the running stack. Its project is the directory bootstrap next to the files of the
// clusters' stacks.
func fromContext(ctx *pulumi.Context, project string) (*Settings, error) {
	return load(ctx.GetConfig, filepath.Dir(project))
}
