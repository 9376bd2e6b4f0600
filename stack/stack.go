// Package stack combines the layers. Read Deploy for an overview of the system.
package stack

import (
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"kubeadm-aws/addons"
	"kubeadm-aws/cluster"
	"kubeadm-aws/config"
	"kubeadm-aws/infra"
)

// Deploy is the Pulumi program: configuration -> keys of the cluster -> AWS resources -> kubeadm cluster -> add-ons
// -> exports.
func Deploy(ctx *pulumi.Context) error {
	cfg, err := config.FromContext(ctx)
	if err != nil {
		return err
	}
	before, err := readState(ctx)
	if err != nil {
		return err
	}
	cfg.Initialised = before.initialised()
	made := before.made()
	if err := cfg.RefuseChanges(made); err != nil {
		return err
	}
	for _, w := range config.ChangeWarnings(cfg, made) {
		if err := ctx.Log.Warn(w, nil); err != nil {
			return err
		}
	}
	running, plan := before.running(), cluster.PlanUpgrade(cfg, before.running())
	if plan != nil {
		if err := config.RefuseMachineChanges(cfg, made, plan.OutOfService()); err != nil {
			return err
		}
		if err := ctx.Log.Warn(plan.String(), nil); err != nil {
			return err
		}
	}
	keys, err := tokenKeys(ctx, cfg, before, plan)
	if err != nil {
		return err
	}
	everything, err := watch(ctx)
	if err != nil {
		return err
	}
	aws, err := infra.New(ctx, cfg, before.exists())
	if err != nil {
		return err
	}
	kube, err := cluster.New(ctx, cfg.Cluster.Name, keys)
	if err != nil {
		return err
	}
	waits := infra.Before{Identity: kube.Identity(), Serving: serving{ctx, cfg, kube, before}.create}
	if err := aws.Build(waits); err != nil {
		return err
	}
	args := clusterArgs(cfg, aws)
	args.Running = running
	if err := kube.Build(ctx, args); err != nil {
		return err
	}
	platform, err := addons.Install(ctx, addonsArgs(cfg, aws, kube, before))
	if err != nil {
		return err
	}
	export(ctx, cfg, aws, kube, platform)
	return guard(ctx, cfg, *everything)
}

// tokenKeys returns the keys of service-account tokens after this update, and logs what it does to them.
func tokenKeys(ctx *pulumi.Context, cfg *config.Config, before state, upgrade *cluster.Upgrade) (cluster.TokenKeys,
	error) {
	keys, ok := before.tokenKeys()
	if !ok {
		return cluster.NewTokenKeys(cfg), nil
	}
	text := ""
	if upgrade != nil {
		keys, text = keys.Hold(cfg)
	} else {
		keys, text = cluster.PlanTokenKeys(cfg, keys, time.Now())
	}
	if text == "" {
		return keys, nil
	}
	return keys, ctx.Log.Warn(text, nil)
}

func clusterArgs(cfg *config.Config, aws *infra.Infra) cluster.Args {
	args := cluster.Args{
		Config:         cfg,
		SSHPrivateKey:  aws.SSHPrivateKey,
		Endpoint:       aws.APIName,
		PublicEndpoint: aws.APIPublicEndpoint,
		CertSANs:       aws.APISANs,
		BackupBucket:   aws.BackupBucket,
		APIRecords:     aws.APIRecords,
		Initialised:    cfg.Initialised,
		Scripts:        addons.Scripts,
	}
	if aws.Issuer != nil {
		args.Issuer = &cluster.Issuer{URL: aws.Issuer.URL, Publish: aws.Issuer.Publish}
	}
	for _, n := range aws.Nodes {
		args.Hosts = append(args.Hosts, hostOf(n))
	}
	return args
}

func hostOf(n infra.Node) cluster.Host {
	return cluster.Host{
		Node:       n.Node,
		Address:    n.PublicIP,
		PrivateIP:  n.PrivateIP,
		ProviderID: n.ProviderID,
		Zone:       n.Zone,
		User:       n.User,
		HostKey:    n.HostKey,
		Machine:    n.Instance,
		DependsOn:  n.DependsOn,
	}
}

func addonsArgs(cfg *config.Config, aws *infra.Infra, kube *cluster.Cluster, before state) addons.Args {
	args := addons.Args{
		Config:             cfg,
		Cluster:            kube,
		VPCID:              aws.VPCID,
		SubnetIDs:          aws.SubnetIDs,
		CertificateARN:     aws.CertificateARN,
		ZoneID:             aws.ZoneID,
		LoadBalancerGroup:  aws.LoadBalancerGroup,
		BackendGroup:       aws.BackendGroup,
		BackupBucket:       aws.BackupBucket,
		LogBucket:          aws.LogBucket,
		DatabaseBackupRole: aws.DatabaseBackupRole,
		DependsOn:          aws.DependsOn,
		AWSProvider:        aws.Provider,
		Database:           before.database(),
	}
	if aws.Issuer != nil {
		args.Roles = aws.Issuer.Roles
	}
	return args
}
