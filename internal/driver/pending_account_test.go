package driver

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubeadm-aws/internal/report"
	"kubeadm-aws/internal/state"
)

// On AWS the driver looks a pending VPC up in the account, by the tags of the stack, and adds the one that it finds
// to the state.
func TestAKillOnAWSIsRecoveredFromTheAccount(t *testing.T) {
	var asked url.Values
	pointToAWS(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked, _ = url.ParseQuery(string(body))
		fmt.Fprint(w, `<DescribeVpcsResponse><vpcSet><item><vpcId>vpc-1</vpcId></item></vpcSet></DescribeVpcsResponse>`)
	})
	const urn = prefix + "aws:ec2/vpc:Vpc::vpc"
	imported, refreshed := filepath.Join(t.TempDir(), "imported"), filepath.Join(t.TempDir(), "refreshed")
	fakeCLI(t, `*"stack select"*) ;;
*"stack output"*) echo "{}";;
*"stack history"*) echo "[]";;
*"config get"*) exit 255;;
*"stack export"*) if test -e `+imported+`; then cat `+imported+
		`; else echo '{"deployment":{"resources":[],"pending_operations":[{"type":"creating","resource":{
  "urn":"`+urn+
		`","type":"aws:ec2/vpc:Vpc","custom":true,"inputs":{"cidrBlock":"10.0.0.0/16","tags":{"Name":"platform-dev-vpc"}}}}]}}'; fi;;
*"stack import"*) cat > `+imported+`;;
*refresh*) echo "$*" >> `+refreshed+`;;`)
	code, stdout, _ := drive(t, "refresh", "--stack", "dev", "--cloud", "aws", "--yes", "--dir", "../..")
	if !strings.Contains(stdout, "Taken over, because it exists: vpc (Vpc).") {
		t.Fatalf("refresh exits %d:\n%s", code, stdout)
	}
	text, err := os.ReadFile(imported)
	if err != nil {
		t.Fatal(err)
	}
	st, err := state.Parse(text)
	if err != nil || len(st.Resources) != 1 || st.Resources[0].ID != "vpc-1" ||
		!slices.Equal(st.Unread(), []state.URN{urn}) {
		t.Errorf("the state became %s (%v)", text, err)
	}
	filters := map[string]string{}
	for i := 1; asked.Has(fmt.Sprintf("Filter.%d.Name", i)); i++ {
		filters[asked.Get(fmt.Sprintf("Filter.%d.Name", i))] = asked.Get(fmt.Sprintf("Filter.%d.Value.1", i))
	}
	for name, want := range map[string]string{
		"cidr": "10.0.0.0/16", "tag:Name": "platform-dev-vpc", "tag:kubeadm-aws/cluster": "platform-dev",
		"tag:kubeadm-aws/stack":      "dev",
		"tag:kubeadm-aws/managed-by": "pulumi",
	} {
		if filters[name] != want {
			t.Errorf("AWS was asked for %s %q, want %q", name, filters[name], want)
		}
	}
	if commands, err := os.ReadFile(refreshed); err != nil || !strings.Contains(string(commands), "--target="+urn) &&
		!strings.Contains(string(commands), "--target "+urn) {
		t.Errorf("it was not read: %s (%v)", commands, err)
	}
}

// A person decides about resources that the driver cannot look up, before anything is changed.
func TestAnUnknownTypeIsLeftToAPerson(t *testing.T) {
	fakeCLI(t, `*"stack select"*) ;;
*"stack output"*) echo "{}";;
*"stack export"*) echo '{"deployment":{"resources":[],"pending_operations":[{"type":"creating","resource":{
  "urn":"`+prefix+`aws:eks/cluster:Cluster::c","type":"aws:eks/cluster:Cluster","custom":true,"inputs":{}}}]}}';;`)
	code, stdout, _ := drive(t, "destroy", "--stack", "dev", "--cloud", "aws", "--yes", "--dir", "../..")
	for _, want := range []string{"c (Cluster)", "internal/recovery/lookup.go",
		"pulumi refresh --stack dev --clear-pending-creates"} {
		if code != report.ExitCannotStart || !strings.Contains(stdout, want) {
			t.Errorf("destroy exits %d and does not say %q:\n%s", code, want, stdout)
		}
	}
}
