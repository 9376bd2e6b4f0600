package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// blocked is an error that waiting does not resolve.
type blocked struct{ reason string }

func (b *blocked) Error() string { return b.reason }

// missing reports whether AWS answers that the resource does not exist, which is the goal of the sweep.
func missing(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	code := api.ErrorCode()
	return strings.HasSuffix(code, "NotFound") || strings.HasSuffix(code, "NotFoundException") ||
		strings.HasPrefix(code, "NoSuch") ||
		// Route53 reports the deletion of a missing record only in the text of the message.
		code == "InvalidChangeBatch" && strings.Contains(api.ErrorMessage(), "not found")
}

// hopeless reports whether another try cannot succeed: permissions are missing, or a user has switched protection on.
func hopeless(err error) bool {
	var b *blocked
	if errors.As(err, &b) {
		return true
	}
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains([]string{
		"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure", "OperationNotPermitted",
		"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch",
	}, api.ErrorCode())
}

// reason returns an AWS error without request ids and wrapping.
func reason(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		text := api.ErrorCode()
		if m := api.ErrorMessage(); m != "" {
			text = fmt.Sprintf("%s (%s)", m, api.ErrorCode())
		}
		if api.ErrorCode() == "OperationNotPermitted" {
			text += "; if deletion protection is on, a user has enabled it: switch it off with aws elbv2 " +
				"modify-load-balancer-attributes and run again"
		}
		return text
	}
	return err.Error()
}
