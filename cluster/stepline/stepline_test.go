package stepline

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseReadsWhatFormatWrites(t *testing.T) {
	want := Line{Name: "join", Node: "worker-1",
		Env:  map[string]string{"CONFIG": "a: 'b'\nc: d", "EMPTY": "", "PATH_": `back\slash "x"`},
		Args: []string{"-c", "echo 'A=b'\n", "", "600", ScriptDir + "/join.0a1b.sh"}}
	got, err := Parse(want.Format())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("parsed %+v (%v), want %+v", got, err, want)
	}
}

func TestParseOfOtherTexts(t *testing.T) {
	if got, err := Parse("systemctl restart kubelet"); err != nil || got.Name != "" {
		t.Errorf("a command that is not a step gives %+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"sudo env STEP='join bash -c true":       "not closed",
		"sudo env STEP='join' bash -c 'true":     "not closed",
		"sudo env STEP='join' rm -r / bash -c x": "KEY='value' pairs",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}
