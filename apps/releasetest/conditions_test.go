// Package releasetest tests the conditions of a release with the code of Argo Rollouts. It is a module of its own, so
// that the program does not depend on that code.
package releasetest

import (
	"math"
	"os"
	"testing"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/evaluate"
	"github.com/sirupsen/logrus"
	"sigs.k8s.io/yaml"
)

// A version is promoted only by its own good requests. Prometheus' answer without a series is an error, and five errors
// in a row end a release. The share of no requests is NaN.
func TestWhatAnAnswerOfPrometheusMeans(t *testing.T) {
	text, err := os.ReadFile("../api/components/analysis/requests.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var template v1alpha1.AnalysisTemplate
	if err := yaml.UnmarshalStrict(text, &template); err != nil {
		t.Fatal(err)
	}
	nothing := []float64{}
	wants := map[string][]struct {
		answer []float64
		want   v1alpha1.AnalysisPhase
	}{
		"success-rate": {
			{[]float64{1}, v1alpha1.AnalysisPhaseSuccessful}, {[]float64{0.99}, v1alpha1.AnalysisPhaseSuccessful},
			{[]float64{0.98}, v1alpha1.AnalysisPhaseFailed}, {[]float64{math.NaN()}, v1alpha1.AnalysisPhaseInconclusive},
			{nothing, v1alpha1.AnalysisPhaseError},
		},
		"latency": {
			{[]float64{0.2}, v1alpha1.AnalysisPhaseSuccessful}, {[]float64{1.5}, v1alpha1.AnalysisPhaseFailed},
			// Without a new job there is nothing to measure; the success rate decides.
			{[]float64{math.NaN()}, v1alpha1.AnalysisPhaseSuccessful}, {nothing, v1alpha1.AnalysisPhaseError},
		},
	}
	for _, metric := range template.Spec.Metrics {
		if len(wants[metric.Name]) == 0 {
			t.Errorf("nothing is expected of metric %s", metric.Name)
		}
		for _, w := range wants[metric.Name] {
			got, err := evaluate.EvaluateResult(w.answer, metric, *logrus.NewEntry(logrus.New()))
			if got != w.want {
				t.Errorf("%s: the answer %v is %s (%v), want %s", metric.Name, w.answer, got, err, w.want)
			}
		}
	}
}
