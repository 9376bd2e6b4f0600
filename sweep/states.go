package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"kubeadm-aws/sweep/question"
)

// apiPort is the port of the Kubernetes API.
const apiPort = 6443

// addressService answers with the address that a request came from.
var addressService = "https://checkip.amazonaws.com"

// states reads a JSON list of instance ids and writes question.Instances. It changes nothing.
func states(ctx context.Context, region string, asked io.Reader, answer io.Writer) error {
	var ids []string
	if err := json.NewDecoder(asked).Decode(&ids); err != nil {
		return fmt.Errorf("read instance ids from standard input: %w", err)
	}
	cfg, err := configure(ctx, region)
	if err != nil {
		return err
	}
	client := ec2.NewFromConfig(cfg)
	caller, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("ask AWS which account the credentials belong to: %w", err)
	}
	out := question.Instances{Account: deref(caller.Account), Instances: map[string]question.Instance{}}
	groups := map[string][]string{}
	// A filter is used because EC2 refuses the whole request if one of InstanceIds is unknown.
	pages := ec2.NewDescribeInstancesPaginator(client, &ec2.DescribeInstancesInput{
		Filters: []types.Filter{filter("instance-id", ids...)},
	})
	for pages.HasMorePages() && len(ids) > 0 {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list instances: %w", err)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				id := deref(i.InstanceId)
				out.Instances[id] = instance(i)
				for _, g := range i.SecurityGroups {
					groups[id] = append(groups[id], deref(g.GroupId))
				}
			}
		}
	}
	if err := addStatusChecks(ctx, client, out.Instances); err != nil {
		return err
	}
	for id, of := range groups {
		state := out.Instances[id]
		if state.Admits, err = admitted(ctx, client, of); err != nil {
			return err
		}
		out.Instances[id] = state
	}
	if len(ids) > 0 {
		out.Address = ownAddress(ctx)
	}
	return json.NewEncoder(answer).Encode(out)
}

// instance returns what the description of an instance says about it.
func instance(i types.Instance) question.Instance {
	out := question.Instance{State: string(i.State.Name), Launched: aws.ToTime(i.LaunchTime)}
	if i.StateReason != nil {
		out.Reason = deref(i.StateReason.Code)
	}
	return out
}

// statusBatch is the largest number of instances that EC2 accepts in one request for their status checks.
const statusBatch = 100

// addStatusChecks sets since when a status check of each running instance fails.
func addStatusChecks(ctx context.Context, client *ec2.Client, instances map[string]question.Instance) error {
	var running []string
	for id, i := range instances {
		if i.State == string(types.InstanceStateNameRunning) {
			running = append(running, id)
		}
	}
	for batch := range slices.Chunk(sorted(running), statusBatch) {
		page, err := client.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: batch})
		if err != nil {
			return fmt.Errorf("list the status checks of instances: %w", err)
		}
		for _, status := range page.InstanceStatuses {
			i := instances[deref(status.InstanceId)]
			i.FailedSince = failedSince(status.InstanceStatus, status.SystemStatus)
			instances[deref(status.InstanceId)] = i
		}
	}
	return nil
}

// failedSince returns the earliest time since which a check is impaired, or zero. EC2 reports insufficient data and
// initializing as other states.
func failedSince(summaries ...*types.InstanceStatusSummary) (since time.Time) {
	for _, s := range summaries {
		if s == nil || s.Status != types.SummaryStatusImpaired {
			continue
		}
		for _, d := range s.Details {
			at := aws.ToTime(d.ImpairedSince)
			if !at.IsZero() && (since.IsZero() || at.Before(since)) {
				since = at
			}
		}
	}
	return since
}

// admitted returns the ranges that groups allow to reach the Kubernetes API.
func admitted(ctx context.Context, client *ec2.Client, groups []string) ([]string, error) {
	page, err := client.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{
		Filters:    []types.Filter{filter("group-id", groups...)},
		MaxResults: aws.Int32(1000),
	})
	if err != nil {
		return nil, fmt.Errorf("list the rules of %s: %w", strings.Join(groups, ", "), err)
	}
	var ranges []string
	for _, rule := range page.SecurityGroupRules {
		if r := deref(rule.CidrIpv4) + deref(rule.CidrIpv6); !aws.ToBool(rule.IsEgress) && opens(rule, apiPort) && r != "" {
			ranges = append(ranges, r)
		}
	}
	return sorted(ranges), nil
}

// ownAddress asks a public service. The answer is a hint for a person, so any failure means "unknown".
func ownAddress(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, addressService, nil)
	if err != nil {
		return ""
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64))
	if err != nil || answer.StatusCode != http.StatusOK {
		return ""
	}
	return strings.TrimSpace(string(text))
}
