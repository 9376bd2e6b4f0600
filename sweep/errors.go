package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// blocked is an error that no waiting will cure.
type blocked struct{ reason string }

func (b *blocked) Error() string { return b.reason }

// missing reports whether AWS says that the thing does not exist (any more), which is what the sweep wants.
func missing(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	code := api.ErrorCode()
	return strings.HasSuffix(code, "NotFound") || strings.HasSuffix(code, "NotFoundException") ||
		strings.HasPrefix(code, "NoSuch") ||
		// Route53 answers the deletion of a record that is gone with a sentence.
		code == "InvalidChangeBatch" && strings.Contains(api.ErrorMessage(), "not found")
}

// hopeless reports whether trying again cannot help: permissions, and protection that somebody switched on.
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

// reason is an AWS error without the request ids and wrapping that help nobody.
func reason(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		text := api.ErrorCode()
		if m := api.ErrorMessage(); m != "" {
			text = fmt.Sprintf("%s (%s)", m, api.ErrorCode())
		}
		if api.ErrorCode() == "OperationNotPermitted" {
			text += "; if deletion protection is on, somebody asked for it: switch it off with aws elbv2 modify-load-balancer-attributes and run again"
		}
		return text
	}
	return err.Error()
}
