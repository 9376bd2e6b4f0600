package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"kubeadm-aws/sweep/receipt"
	"kubeadm-aws/sweep/sweepline"
)

// refusal is AWS's answer instead of the requested action. The zero value lets the call pass.
type refusal struct{ code, message string }

// refusing runs a proxy in front of moto for behaviour that moto lacks: it deletes security groups in use, and has no
// permissions and no deletion protection. The proxy gets the action and its parameters; Route53's are "rrset".
func (w *external) refusing(refuse func(action string, form url.Values) refusal) {
	w.Helper()
	behind := must(url.Parse(motoURL))
	forward := httputil.NewSingleHostReverseProxy(behind)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		form, _ := url.ParseQuery(string(body))
		action := form.Get("Action")
		if strings.HasSuffix(strings.TrimSuffix(req.URL.Path, "/"), "/rrset") && req.Method == http.MethodPost {
			action = "rrset"
		}
		r := refuse(action, form)
		if r.code == "" {
			forward.ServeHTTP(rw, req)
			return
		}
		rw.Header().Set("Content-Type", "text/xml")
		rw.WriteHeader(http.StatusBadRequest)
		if form.Get("Version") == "2016-11-15" { // EC2 has its own format
			fmt.Fprintf(rw,
				"<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>1</RequestID></Response>",
				r.code, r.message)
			return
		}
		fmt.Fprintf(rw,
			"<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>", r.code, r.message)
	}))
	w.Cleanup(server.Close)
	pointTo(w.T, server.URL)
}

// dependencyViolation is a rule of AWS that moto lacks: a group with an interface in it, or with rules of other
// groups that refer to it, cannot be deleted.
func (w *external) dependencyViolation(action string, form url.Values) refusal {
	if action != "DeleteSecurityGroup" {
		return refusal{}
	}
	id := form.Get("GroupId")
	refused := refusal{"DependencyViolation", "resource " + id + " has a dependent object"}
	for _, g := range must(w.aws.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{})).SecurityGroups {
		for _, p := range g.IpPermissions {
			for _, pair := range p.UserIdGroupPairs {
				if deref(pair.GroupId) == id && deref(g.GroupId) != id {
					return refused
				}
			}
		}
	}
	for _, n := range must(w.aws.ec2.DescribeNetworkInterfaces(ctx,
		&ec2.DescribeNetworkInterfacesInput{})).NetworkInterfaces {
		if slices.ContainsFunc(n.Groups, func(g types.GroupIdentifier) bool { return deref(g.GroupId) == id }) {
			return refused
		}
	}
	return refusal{}
}

// sweeper is a run in which the test acts during the pauses.
func (v *vpc) sweeper(pause func(ctx context.Context, round int) error) *sweep {
	v.Helper()
	o := sweepline.Line{Cluster: v.cluster, VPC: v.id, Zone: v.zone, Volumes: sweepline.Delete, Region: region}
	return &sweep{
		account:  must(open(ctx, scopeOf(o), o.Region)),
		receipt:  receipt.New(o),
		progress: func(format string, args ...any) { v.Logf(format, args...) },
		pause:    pause,
	}
}

func TestGroupsThatReferToEachOtherGoUnderAWSsRules(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	v.leave()
	w.refusing(w.dependencyViolation)

	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--zone", w.zone, "--volumes", "delete")

	if out.code != exitClean || !strings.HasSuffix(out.stdout, "\n0 left\n") {
		t.Errorf("exit code %d\n%s%s", out.code, out.stdout, out.stderr)
	}
}

func TestWaitsUntilAWSReleasesWhatTheLoadBalancerHeld(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	group := v.group("k8s-traffic-dev", v.ofController())
	lb, _, _, _ := v.balancer("k8s-platform-dev", v.ofController(), group)
	_, path, _ := strings.Cut(lb, ":loadbalancer/")
	held := v.networkInterface("ELB "+path, nil, group)
	w.refusing(w.dependencyViolation)

	var s *sweep
	var waitedFor []Item
	s = v.sweeper(func(_ context.Context, round int) error {
		switch round {
		case 2:
			waitedFor = s.receipt.Left
			// AWS does this some minutes after the deletion of the load balancer.
			must(w.aws.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &held}))
		case 5:
			return context.DeadlineExceeded
		}
		return nil
	})
	if err := s.run(ctx); err != nil {
		t.Fatal(err)
	}
	if got, want := ids(waitedFor), sorted([]string{held, group}); !slices.Equal(got, want) {
		t.Errorf("waited for %v, want %v", got, want)
	}
	for _, item := range waitedFor {
		if item.ID == group && (!strings.Contains(item.Reason, "DependencyViolation") ||
			!strings.Contains(item.Detail, held)) {
			t.Errorf("what holds the group is not said: %s", item)
		}
	}
}

func TestALoadBalancerOfAnotherHoldsNothingUp(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	lb, _, _, _ := v.balancer("by-hand", nil)
	_, path, _ := strings.Cut(lb, ":loadbalancer/")
	v.networkInterface("ELB "+path, nil)

	out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--volumes", "delete")

	if out.code != exitClean || !strings.Contains(out.stdout, "not touched   load balancer "+lb) {
		t.Errorf("exit code %d\n%s%s", out.code, out.stdout, out.stderr)
	}
}

func TestAfterTheDeadlineTheRestIsNamed(t *testing.T) {
	for name, test := range map[string]struct {
		end  error
		want string
	}{
		"timeout":   {context.DeadlineExceeded, "the time is over (--timeout); 1 left"},
		"interrupt": {context.Canceled, "interrupted; 1 left"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newExternal(t)
			v := w.newVPC("dev")
			v.volume(v.claimed("data", "gone"))
			stuck := v.volume(v.claimed("data", "rabbitmq-0"))
			w.refusing(func(action string, form url.Values) refusal {
				if action == "DeleteVolume" && form.Get("VolumeId") == stuck {
					return refusal{"VolumeInUse", "Volume " + stuck + " is currently attached to i-1"}
				}
				return refusal{}
			})
			s := v.sweeper(func(_ context.Context, round int) error {
				if round == 3 {
					return test.end
				}
				return nil
			})
			err := s.run(ctx)
			for _, want := range []string{test.want, stuck, "PVC data/rabbitmq-0", "attached to i-1 (VolumeInUse)"} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			if len(s.receipt.Removed) != 1 {
				t.Errorf("removed %v, want the other volume", s.receipt.Removed)
			}
		})
	}
}

// An error that waiting does not resolve ends the run as soon as everything else is deleted. Otherwise the commands'
// own timeout of 10 minutes would end the test.
func TestRefusalsForGoodEndTheRunAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		action string
		refusal
		left func(l leftovers) int
		want string
	}{
		"a volume without permission": {
			"DeleteVolume", refusal{"UnauthorizedOperation", "You are not authorized to perform this operation."},
			func(l leftovers) int { return len(l.volumes) }, "not authorized",
		},
		"a protected load balancer": {
			"DeleteLoadBalancer", refusal{"OperationNotPermitted",
				"Load balancer cannot be deleted because deletion protection is enabled"},
			func(leftovers) int { return 2 }, "modify-load-balancer-attributes",
		},
		// The load balancer proves that the records belong to the cluster. It stays while they exist, with its
		// listener and its target group.
		"a record without permission": {
			"rrset", refusal{"AccessDenied", "not authorized to perform route53:ChangeResourceRecordSets"},
			func(l leftovers) int { return len(l.records) + 3 }, "not authorized to perform route53",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newExternal(t)
			v := w.newVPC("dev")
			l := v.leave()
			before := w.inventory()
			w.refusing(func(action string, form url.Values) refusal {
				if action == test.action {
					return test.refusal
				}
				return refusal{}
			})
			out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--zone", w.zone, "--volumes", "delete")

			left := len(l.all()) - len(gone(before, w.inventory()))
			if out.code != exitLeft || left != test.left(l) || !strings.HasSuffix(out.stdout, fmt.Sprintf("\n%d left\n", left)) {
				t.Errorf("exit code %d, %d left, want %d\n%s%s", out.code, left, test.left(l), out.stdout, out.stderr)
			}
			if !strings.Contains(out.stderr, test.want) {
				t.Errorf("the error does not say %q:\n%s", test.want, out.stderr)
			}
		})
	}
}

func TestAnAccountThatCannotBeReadIsNotCalledClean(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	v.leave()
	before := w.inventory()
	var action string
	w.refusing(func(a string, _ url.Values) refusal {
		if a == action {
			return refusal{"UnauthorizedOperation", "You are not authorized to perform this operation."}
		}
		return refusal{}
	})
	for _, action = range []string{"DescribeLoadBalancers", "DescribeTargetGroups", "DescribeVolumes",
		"DescribeSecurityGroups", "DescribeNetworkInterfaces", "DescribeInstances"} {
		t.Run(action, func(t *testing.T) {
			out := sweepIt(t, "--cluster", "dev", "--vpc", v.id, "--zone", w.zone, "--volumes", "delete")
			if out.code != exitLeft || !strings.Contains(out.stdout, "what is left is not known") ||
				strings.Contains(out.stdout, "0 left") {
				t.Errorf("exit code %d\n%s%s", out.code, out.stdout, out.stderr)
			}
		})
	}
	if removed := gone(before, w.inventory()); len(removed) > 0 {
		t.Errorf("removed %v without knowing all", removed)
	}
}

// An interrupted run has done any part of the work. The next run does the rest.
func TestInterruptedAnywhereAndRunAgain(t *testing.T) {
	w := newExternal(t)
	v := w.newVPC("dev")
	total := len(v.leave().all())
	for cut := 1; cut < total; cut += 6 {
		t.Run(fmt.Sprintf("after %d deletions", cut), func(t *testing.T) {
			w := newExternal(t)
			v := w.newVPC("dev")
			v.leave()
			stop, cancel := context.WithCancel(ctx)
			defer cancel()
			done := 0
			w.refusing(func(action string, form url.Values) refusal {
				if strings.HasPrefix(action, "Delete") || strings.HasPrefix(action, "Revoke") || action == "rrset" {
					if done++; done > cut {
						cancel()
					}
				}
				return w.dependencyViolation(action, form)
			})
			var stdout, stderr bytes.Buffer
			args := []string{"--region", region, "--cluster", "dev", "--vpc", v.id, "--zone", w.zone, "--volumes", "delete"}
			if code := run(stop, args, strings.NewReader(""), &stdout, &stderr); code != exitLeft ||
				!strings.Contains(stderr.String(), "interrupted; ") {
				t.Fatalf("the first run: exit code %d\n%s%s", code, &stdout, &stderr)
			}
			if out := sweepIt(t, args...); out.code != exitClean {
				t.Errorf("the second run: exit code %d\n%s%s", out.code, out.stdout, out.stderr)
			}
			mine := scope{cluster: "dev", vpc: v.id, zone: w.zone, volumes: sweepline.Delete}
			left := must(must(open(ctx, mine, region)).survey(ctx))
			if len(left.leftovers) > 0 {
				t.Errorf("left %v", left.leftovers)
			}
		})
	}
}
