package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/route53"

	"kubeadm-aws/sweep/question"
)

// lookup adds readers of the properties to a question.
type lookup struct{ question.Lookup }

func (l lookup) text(key string) string {
	text, _ := l.Properties[key].(string)
	return text
}

// texts returns the elements of a list.
func (l lookup) texts(key string) []string {
	list, _ := l.Properties[key].([]any)
	var all []string
	for _, element := range list {
		if text, ok := element.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

// number returns -1 for an absent number, which is EC2's notation for "all ports".
func (l lookup) number(key string) int32 {
	if n, ok := l.Properties[key].(float64); ok {
		return int32(n)
	}
	return -1
}

// finder looks resources up. It changes nothing.
type finder struct {
	ec2     *ec2.Client
	route53 *route53.Client
	acm     *acm.Client
	ecr     *ecr.Client
	iam     *iam.Client
}

// finders are by Pulumi's type. Each returns the ids, in Pulumi's form, of all resources that match.
var finders = map[string]func(*finder, context.Context, lookup) ([]string, error){
	"aws:ec2/vpc:Vpc":                                           (*finder).vpcs,
	"aws:ec2/subnet:Subnet":                                     (*finder).subnets,
	"aws:ec2/internetGateway:InternetGateway":                   (*finder).gateways,
	"aws:ec2/routeTable:RouteTable":                             (*finder).routeTables,
	"aws:ec2/routeTableAssociation:RouteTableAssociation":       (*finder).routeTableAssociations,
	"aws:ec2/vpcEndpoint:VpcEndpoint":                           (*finder).endpoints,
	"aws:ec2/securityGroup:SecurityGroup":                       (*finder).groups,
	"aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (*finder).ingressRules,
	"aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule":   (*finder).egressRules,
	"aws:ec2/instance:Instance":                                 (*finder).instances,
	"aws:ec2/eip:Eip":                                           (*finder).addresses,
	"aws:ec2/eipAssociation:EipAssociation":                     (*finder).addressAssociations,
	"aws:route53/zone:Zone":                                     (*finder).zones,
	"aws:route53/record:Record":                                 (*finder).records,
	"aws:acm/certificate:Certificate":                           (*finder).certificates,
	"aws:ecr/repository:Repository":                             (*finder).repositories,
	"aws:iam/openIdConnectProvider:OpenIdConnectProvider":       (*finder).issuers,
}

// find reads a list of lookups as JSON and writes the ids that match, by URN.
func find(ctx context.Context, region string, asked io.Reader, answer io.Writer) error {
	var lookups []lookup
	if err := json.NewDecoder(asked).Decode(&lookups); err != nil {
		return fmt.Errorf("read from standard input what to find: %w", err)
	}
	cfg, err := configure(ctx, region)
	if err != nil {
		return err
	}
	f := &finder{ec2: ec2.NewFromConfig(cfg), route53: route53.NewFromConfig(cfg), acm: acm.NewFromConfig(cfg),
		ecr: ecr.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg)}
	ids := map[string][]string{}
	for _, w := range lookups {
		look, known := finders[w.Type]
		if !known {
			return fmt.Errorf("cannot look up %s: no finder is registered for type %s (add one to finders in sweep/find.go)",
				w.URN, w.Type)
		}
		// Without tags and properties, everything of the type would match.
		if len(w.Tags)+len(w.Properties) == 0 {
			return errors.New("find " + w.URN + ": neither tags nor properties are given")
		}
		if ids[w.URN], err = look(f, ctx, w); err != nil {
			return fmt.Errorf("find %s: %w", w.URN, err)
		}
	}
	return json.NewEncoder(answer).Encode(ids)
}

// carries reports whether a resource has all these tags.
func carries(tags, all map[string]string) bool {
	for key, value := range all {
		if tags[key] != value {
			return false
		}
	}
	return true
}
