package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestAdopt(t *testing.T) {
	const vpcURN, subnet, object = prefix + "aws:ec2/vpc:Vpc::v", prefix + "aws:ec2/subnet:Subnet::s",
		prefix + "kubernetes:core/v1:Namespace::n"
	resource := func(urn URN, rest string) string {
		types, _ := SplitURN(urn)
		return fmt.Sprintf(`{"urn":%q,"type":%q,"custom":true%s}`, urn, types[len(types)-1], rest)
	}
	creating := func(urn URN, rest string) string { return `{"type":"creating","resource":` + resource(urn, rest) + `}` }
	secret := func(text string) string {
		return `,"inputs":{"key":{"4dabf18193072939515e22adb298388d":"1b47061264138c4ac30d75fd1eb44270","ciphertext":"` +
			text + `"}}`
	}
	for _, tt := range []struct {
		name, resources, pending string
		ids                      map[URN]string
		// want is each resource afterwards: name, id and whether it is to be deleted.
		want []string
	}{
		{"one that exists", resource(vpcURN, `,"id":"vpc-1"`), creating(subnet, `,"inputs":{"cidrBlock":"10.0.0.0/24"}`),
			map[URN]string{subnet: "subnet-1"}, []string{"v vpc-1 false", "s subnet-1 false"}},
		{"one that does not", resource(vpcURN, `,"id":"vpc-1"`), creating(subnet, ``), nil, []string{"v vpc-1 false"}},
		{"begun twice", ``, creating(vpcURN, ``) + `,` + creating(vpcURN, ``), map[URN]string{vpcURN: "vpc-1"},
			[]string{"v vpc-1 false"}},
		{"an interrupted update", resource(vpcURN, `,"id":"vpc-1"`),
			strings.Replace(creating(vpcURN, ``), "creating", "updating", 1),
			map[URN]string{vpcURN: "vpc-2"}, []string{"v vpc-1 false"}},
		{"in place of one that is deleted", resource(vpcURN, `,"id":"vpc-1","pendingReplacement":true`) + `,` +
			resource(subnet, `,"id":"subnet-1"`),
			creating(vpcURN, ``), map[URN]string{vpcURN: "vpc-2"}, []string{"v vpc-2 false", "s subnet-1 false"}},
		{"in place of one that is there", resource(vpcURN, `,"id":"vpc-1","inputs":{"a":"1"}`) + `,` +
			resource(subnet, `,"id":"subnet-1"`),
			creating(vpcURN, `,"inputs":{"a":"2"}`), map[URN]string{vpcURN: "vpc-2"},
			[]string{"v vpc-2 false", "v vpc-1 true", "s subnet-1 false"}},
		{"one too many", resource(vpcURN, `,"id":"vpc-2"`+secret("abc")) + `,` + resource(subnet, `,"id":"subnet-1"`),
			creating(vpcURN, secret("def")), map[URN]string{vpcURN: "vpc-1"},
			[]string{"v vpc-2 false", "s subnet-1 false", "v vpc-1 true"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, err := Parse([]byte(`{"version":3,"deployment":{"resources":[` + tt.resources + `],"pending_operations":[` +
				tt.pending + `]}}`))
			if err != nil {
				t.Fatal(err)
			}
			after := before.Adopt(tt.ids, nil)
			var got []string
			for _, r := range after.Resources {
				_, name := SplitURN(r.URN)
				got = append(got, fmt.Sprintf("%s %s %v", name, r.ID, r.Delete))
			}
			if !slices.Equal(got, tt.want) || len(after.PendingOperations) > 0 {
				t.Errorf("the state has %v and %d pending operations, want %v", got, len(after.PendingOperations), tt.want)
			}
		})
	}

	// Marks of earlier drivers count too.
	for mark, create := range map[string]bool{earlierCreate: true, earlierChange: false, "some other fault": false} {
		r := Resource{URN: object, InitErrors: []string{mark}}
		st := State{}
		st.Resources = []Resource{r}
		if unread := len(st.Unread()) == 1; unread != (mark != "some other fault") || IsInterruptedCreate(r) != create {
			t.Errorf("%q: unread %v, created %v", mark, unread, IsInterruptedCreate(r))
		}
	}

	// What it becomes is known from its inputs only, and marked as such.
	before, err := Parse([]byte(`{"deployment":{"resources":[],"pending_operations":[` +
		creating(object, `,"inputs":{"metadata":{"name":"n","__defaults":[]},"big":12345678901234567890}`) + `]}}`))
	if err != nil {
		t.Fatal(err)
	}
	after := before.Adopt(map[URN]string{object: "n"}, nil)
	text, err := after.Encode()
	if err != nil || len(after.Resources) != 1 {
		t.Fatalf("the state is %s (%v)", text, err)
	}
	r := after.Resources[0]
	metadata, _ := r.Outputs["metadata"].(map[string]any)
	if r.Outputs["__inputs"] == nil || metadata["name"] != "n" || metadata["__defaults"] != nil ||
		!slices.Equal(after.Unread(), []URN{object}) {
		t.Errorf("it became %+v", r)
	}
	if !strings.Contains(string(text), "12345678901234567890") {
		t.Errorf("a number was rounded: %s", text)
	}
}
