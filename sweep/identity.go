package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Environment variables with the stack's settings of the namespace aws. The program and the driver set them with
// config.SweepEnvironment, which uses the same names. They are not flags, because a list of processes must not show
// the external id.
const (
	envProfile           = "SWEEP_PROFILE"
	envRoleARN           = "SWEEP_ROLE_ARN"
	envRoleSessionName   = "SWEEP_ROLE_SESSION_NAME"
	envRoleExternalID    = "SWEEP_ROLE_EXTERNAL_ID"
	envRoleDuration      = "SWEEP_ROLE_DURATION"
	envAllowedAccounts   = "SWEEP_ALLOWED_ACCOUNTS"
	envForbiddenAccounts = "SWEEP_FORBIDDEN_ACCOUNTS"
)

// assumeRole returns cfg with the credentials of the role in the environment, or cfg itself if there is no role. The
// session is opened with the credentials of cfg.
func assumeRole(ctx context.Context, cfg aws.Config) (aws.Config, error) {
	role := os.Getenv(envRoleARN)
	if role == "" {
		return cfg, nil
	}
	var duration time.Duration // zero is the SDK's 15 minutes, renewed by the cache
	if text := os.Getenv(envRoleDuration); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			return aws.Config{}, fmt.Errorf("read %s: %w", envRoleDuration, err)
		}
	}
	provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), role, func(o *stscreds.AssumeRoleOptions) {
		o.Duration = duration
		if name := os.Getenv(envRoleSessionName); name != "" {
			o.RoleSessionName = name
		}
		if id := os.Getenv(envRoleExternalID); id != "" {
			o.ExternalID = &id
		}
	})
	cfg.Credentials = aws.NewCredentialsCache(provider)
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return aws.Config{}, fmt.Errorf("assume the role %s (aws:assumeRole): %w", role, err)
	}
	return cfg, nil
}

// checkAccount refuses credentials of an account that the environment excludes. It calls AWS only if there is a list.
func checkAccount(ctx context.Context, cfg aws.Config) error {
	allowed, forbidden := accountsIn(envAllowedAccounts), accountsIn(envForbiddenAccounts)
	if len(allowed)+len(forbidden) == 0 {
		return nil
	}
	caller, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("ask AWS which account the credentials belong to: %w", err)
	}
	id := deref(caller.Account)
	switch {
	case slices.Contains(forbidden, id):
		return fmt.Errorf("aws:forbiddenAccountIds holds the account %s, which the credentials belong to (%s): "+
			"nothing was read or removed; use credentials of another account", id, deref(caller.Arn))
	case len(allowed) > 0 && !slices.Contains(allowed, id):
		return fmt.Errorf("aws:allowedAccountIds (%s) does not hold the account %s, which the credentials belong to (%s): "+
			"nothing was read or removed; use credentials of an allowed account", strings.Join(allowed, ", "), id,
			deref(caller.Arn))
	}
	return nil
}

// checkStack refuses credentials of another account than the stack's, in which nothing of it would be found. stack is
// empty for a stack of an earlier version, which is not checked.
func checkStack(ctx context.Context, cfg aws.Config, stack string) error {
	if stack == "" {
		return nil
	}
	caller, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("ask AWS which account the credentials belong to: %w", err)
	}
	if id := deref(caller.Account); id != stack {
		return fmt.Errorf("the stack is in the account %s, and the credentials belong to %s (%s): nothing was read or "+
			"removed; use credentials of the account %s", stack, id, deref(caller.Arn), stack)
	}
	return nil
}

// accountsIn returns the comma-separated list in an environment variable.
func accountsIn(name string) []string {
	return strings.FieldsFunc(os.Getenv(name), func(r rune) bool { return r == ',' })
}
