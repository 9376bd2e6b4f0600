package infra

import (
	"encoding/json"
	"testing"
)

func TestRepositories(t *testing.T) {
	for stack, mutability := range map[string]string{"dev": "MUTABLE", "staging": "IMMUTABLE", "prod": "IMMUTABLE"} {
		w := deploy(t, stack, settings{"environment": stack, "registry": `{"repositories":["api"],"keepImages":7}`})
		r := w.one("Repository", "api")
		if got := r.at("name").StringValue(); got != stack+"/api" {
			t.Errorf("name = %s", got)
		}
		if got := r.at("imageTagMutability").StringValue(); got != mutability {
			t.Errorf("%s: tags are %s, want %s", stack, got, mutability)
		}
		if !r.at("imageScanningConfiguration", "scanOnPush").BoolValue() {
			t.Errorf("%s: images are not scanned", stack)
		}
		var lifecycle struct {
			Rules []struct {
				Selection struct {
					TagStatus   string
					CountNumber int
				}
				Action struct{ Type string }
			}
		}
		if err := json.Unmarshal([]byte(w.one("LifecyclePolicy", "api").at("policy").StringValue()), &lifecycle); err != nil {
			t.Fatal(err)
		}
		if r := lifecycle.Rules; len(r) != 1 || r[0].Selection.TagStatus != "untagged" || r[0].Selection.CountNumber != 7 ||
			r[0].Action.Type != "expire" {
			t.Errorf("lifecycle %+v: tagged images are never to expire", r)
		}
		if len(w.infra.Repositories) != 1 {
			t.Errorf("repositories %v", w.infra.Repositories)
		}
	}
}
