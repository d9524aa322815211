package awsissuer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/kubecred/kubecred/internal/awskeys"
)

func noCredentials(err error) error {
	return &Error{
		Problem: "no AWS credentials: none in the environment, the profile, a web identity, the container or the instance",
		Hint:    "Set AWS_PROFILE, log in with 'aws sso login', or give the machine a role",
		Err:     err,
	}
}

// explain turns an error of the SDK into one line for a person.
func (l *loaded) explain(err error, src Source, w World) error {
	profile := awskeys.ProfileName(w.Getenv, src.Profile)
	text := err.Error()
	var api smithy.APIError
	var status *smithyhttp.ResponseError
	var missing config.SharedConfigProfileNotExistError
	var unsent *smithyhttp.RequestSendError
	offset := l.clock.offset()
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &missing):
		return &Error{Problem: fmt.Sprintf("there is no AWS profile %q", missing.Profile), Hint: "'aws configure list-profiles' names those there are", Err: err}
	case errors.Is(err, errNobodyToAsk):
		return &Error{
			Problem: "profile " + profile + " wants an MFA code, and nobody can be asked for it",
			Hint:    "Run it with a terminal (interactiveMode: IfAvailable in the kubeconfig), or get a session first", Err: err,
		}
	case offset != 0 && skewed(err):
		return &Error{
			Problem: fmt.Sprintf("AWS refuses the signature, because this machine's clock is %s %s", offset.Abs(), direction(offset)),
			Hint:    "Set the clock", Err: err,
		}
	case strings.Contains(text, "SSO") && (strings.Contains(text, "expired") || strings.Contains(text, "refresh cached") || strings.Contains(text, "InvalidGrant")) || strings.Contains(text, "failed to read cached SSO token"):
		return &Error{Problem: "the SSO login of profile " + profile + " has expired, or there was none", Hint: "Log in with: aws sso login --profile " + profile, Err: err}
	case errors.As(err, &api):
		s := fmt.Sprintf("AWS answers %s: %s", api.ErrorCode(), plainMessage(api.ErrorMessage()))
		if api.ErrorMessage() == "" {
			s = "AWS answers " + api.ErrorCode()
		}
		if offset != 0 {
			s += fmt.Sprintf(" (this machine's clock is %s %s)", offset.Abs(), direction(offset))
		}
		return &Error{Problem: s, Hint: hintFor(api.ErrorCode(), src), Err: err, Transient: passing(err, api)}
	case errors.As(err, &unsent):
		return &Error{Problem: "AWS cannot be reached: " + oneLine(unsent.Err.Error()), Hint: "Is the network, or the proxy, in the way?", Err: err, Transient: true}
	case errors.As(err, &status):
		return &Error{Problem: fmt.Sprintf("AWS answers with HTTP status %d", status.HTTPStatusCode()), Err: err, Transient: true}
	case strings.Contains(text, "no EC2 IMDS role found"):
		return noCredentials(err)
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Problem: "AWS did not answer in time", Hint: "Is the network, or the proxy, in the way?", Err: err, Transient: true}
	}
	return &Error{Problem: "getting AWS credentials failed: " + oneLine(cause(err)), Err: err, Transient: true}
}

// cause is the innermost error that has something to say.
func cause(err error) string {
	for {
		var op *smithy.OperationError
		if !errors.As(err, &op) {
			return err.Error()
		}
		err = op.Err
	}
}

func direction(offset time.Duration) string {
	if offset > 0 {
		return "behind AWS's"
	}
	return "ahead of AWS's"
}

// skewed tells whether AWS refused a request for its date.
func skewed(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "RequestTimeTooSkewed", "RequestExpired", "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", "RequestInTheFuture":
		return true
	}
	return false
}

// passing tells whether an error of AWS may pass by itself.
func passing(err error, api smithy.APIError) bool {
	if strings.Contains(api.ErrorCode(), "Throttl") || api.ErrorFault() == smithy.FaultServer {
		return true
	}
	var status *smithyhttp.ResponseError
	return errors.As(err, &status) && status.HTTPStatusCode() >= 500
}

func hintFor(code string, src Source) string {
	switch code {
	case "AccessDenied", "AccessDeniedException":
		if len(src.Roles) > 0 {
			return "Does the role's trust policy name who asks, and the external id?"
		}
	case "ExpiredToken", "ExpiredTokenException":
		return "Log in again"
	case "InvalidClientTokenId", "UnrecognizedClientException":
		return "The access key is unknown to AWS: deleted, or of another partition"
	case "Throttling", "ThrottlingException":
		return "AWS was asked too often: kubecred-exec keeps what it gets"
	}
	return ""
}

// plainMessage is what AWS says, without the request that it may quote where a
// signature is wrong: the session's token is among the headers.
func plainMessage(s string) string {
	s, _, _ = strings.Cut(s, "The Canonical String for this request")
	s, _, _ = strings.Cut(s, "The String-to-Sign")
	return oneLine(s)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
