package infra

import "testing"

func TestNewStacksHaveNoRepositories(t *testing.T) {
	w := deploy(t, "dev", nil)
	for _, r := range w.resources {
		if r.TypeToken == "aws:ecr/repository:Repository" || r.TypeToken == "kubeadm-aws:infra:Registry" {
			t.Errorf("%s is created", r)
		}
	}
}

// The state has to say that the repositories stay, and not that they are protected, before a version can leave them
// out.
func TestRepositoriesThatExistStay(t *testing.T) {
	for stack, mutability := range map[string]string{"dev": "MUTABLE", "staging": "IMMUTABLE", "prod": "IMMUTABLE"} {
		w, err := tryOver(t, stack, settings{"environment": stack}, Exists{Repositories: []string{"api"}})
		if err != nil {
			t.Fatal(err)
		}
		r := w.one("Repository", "api")
		if r.at("name").StringValue() != stack+"/api" || r.at("imageTagMutability").StringValue() != mutability ||
			!r.at("imageScanningConfiguration", "scanOnPush").BoolValue() {
			t.Errorf("%s: the repository changes: %v", stack, r.Inputs)
		}
		if r.at("forceDelete").BoolValue() {
			t.Errorf("%s: AWS would delete its images", stack)
		}
		lifecycle := w.one("LifecyclePolicy", "api")
		for _, kept := range []registered{r, lifecycle} {
			if !kept.RegisterRPC.GetRetainOnDelete() || kept.RegisterRPC.GetProtect() {
				t.Errorf("%s: %s: retained %v, protected %v", stack, kept, kept.RegisterRPC.GetRetainOnDelete(),
					kept.RegisterRPC.GetProtect())
			}
		}
		if got := lifecycle.RegisterRPC.GetIgnoreChanges(); len(got) != 1 || got[0] != "policy" {
			t.Errorf("%s: the number of kept images changes", stack)
		}
		if len(w.infra.Repositories) != 1 {
			t.Errorf("repositories %v", w.infra.Repositories)
		}
	}
}
