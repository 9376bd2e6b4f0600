package state

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
)

// A state that is read and written back stays the same, also numbers that no float64 holds. The state is one that
// Pulumi wrote.
func TestAStateIsWrittenBackAsItWas(t *testing.T) {
	file, err := os.Open("../../stack/testdata/made-by-3fdc37a/dev/state.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	before, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	before = bytes.Replace(before, []byte(`"inputs":{`), []byte(`"inputs":{"big":12345678901234567890,`), 1)
	before = bytes.Replace(before, []byte(`"inputs": {`), []byte(`"inputs": {"big":12345678901234567890,`), 1)
	st, err := Parse(before)
	if err != nil {
		t.Fatal(err)
	}
	after, err := st.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(after), "12345678901234567890") {
		t.Error("a number was rounded, or the state has no inputs")
	}
	if old, now := withoutEmpty(decoded(t, before)), withoutEmpty(decoded(t, after)); !reflect.DeepEqual(old, now) {
		t.Error("the state differs from the one that was read")
	}
}

// A field of a newer Pulumi does not stop the driver from reading a state. It would be lost in a state that is
// written back.
func TestAStateOfANewerPulumiIsOnlyRead(t *testing.T) {
	st, err := Parse([]byte(`{"version":3,"deployment":{"resources":[{"urn":"` + prefix +
		`aws:ec2/vpc:Vpc::v","type":"aws:ec2/vpc:Vpc","custom":true,"flavour":"new"}]}}`))
	if err != nil || len(st.Resources) != 1 {
		t.Fatalf("%d resources were read: %v", len(st.Resources), err)
	}
	if _, err := st.Encode(); err == nil || !strings.Contains(err.Error(), "flavour") {
		t.Errorf("got %v, want a refusal that names the field", err)
	}
	if _, err := st.Without(nil).Adopt(nil, nil).Encode(); err == nil {
		t.Error("a changed copy of it can be written")
	}
}

func decoded(t *testing.T, text []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// withoutEmpty leaves out the keys whose values are empty on the level of the state and its resources: Pulumi writes
// some of them and reads both alike.
func withoutEmpty(state any) any {
	deployment := state.(map[string]any)["deployment"].(map[string]any)
	for _, r := range deployment["resources"].([]any) {
		dropEmpty(r.(map[string]any))
	}
	dropEmpty(deployment)
	return state
}

func dropEmpty(m map[string]any) {
	for key, value := range m {
		if v := reflect.ValueOf(value); !v.IsValid() || v.Kind() != reflect.Bool && v.Len() == 0 {
			delete(m, key)
		}
	}
}
