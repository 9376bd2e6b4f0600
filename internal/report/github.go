package report

import (
	"fmt"
	"os"
	"strings"
)

// WriteGitHubResult writes for a job of GitHub Actions how a command ended: the exit code as the step's output "code",
// whether an up began to change something as "begun" (true or false), and a line for the job's summary. Outside of a
// job it does nothing.
func WriteGitHubResult(result Event) error {
	if err := appendTo("GITHUB_OUTPUT", fmt.Sprintf("code=%d\nbegun=%t\n", *result.Code, result.Begun)); err != nil {
		return err
	}
	line := fmt.Sprintf("**%s of %s**: %s", result.Command, result.Stack, result.Status)
	for _, text := range []string{result.Message, result.Next} {
		if text != "" {
			line += ". " + strings.Join(strings.Fields(text), " ")
		}
	}
	return appendTo("GITHUB_STEP_SUMMARY", line+"\n\n")
}

// appendTo adds text to the file that a variable names, if it names one.
func appendTo(variable, text string) error {
	path := os.Getenv(variable)
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the result for the job (%s): %w", variable, err)
	}
	_, err = file.WriteString(text)
	if closing := file.Close(); err == nil {
		err = closing
	}
	return err
}
