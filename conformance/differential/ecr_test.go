//go:build unix

package differential

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/internal/awsfake"
)

// said is what a provider does with an image: the hosts of AWS that it asks, and
// its answer.
type said struct {
	asked    string
	answered bool
	key      string
	keyType  credapi.CacheKeyType
	life     time.Duration
	words    string // its last ones where it does not answer
}

// The differences that are meant; docs/image-credentials.md has them in these words.
const (
	whyEndpoint = "FIPS and dual-stack hosts"
	whyPublic   = "The dual-stack host of the public registry"
	whyEvil     = "Hosts that are not ECR's"
	whyForm     = "Hosts that no partition has"
	whyPort     = "A host with a port"
	whyLife     = "How long an answer is kept"
)

// ecrCases are hosts with the endpoint that each provider asks, ours "" where it
// refuses the host.
var ecrCases = []struct{ host, peer, ours, why string }{
	{"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com", ""},
	{"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", "api.ecr.us-gov-west-1.amazonaws.com", "api.ecr.us-gov-west-1.amazonaws.com", ""},
	{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn", ""},
	{"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "api.ecr.eusc-de-east-1.amazonaws.eu", "api.ecr.eusc-de-east-1.amazonaws.eu", ""},
	{"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "api.ecr.us-iso-east-1.c2s.ic.gov", "api.ecr.us-iso-east-1.c2s.ic.gov", ""},
	{"123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "api.ecr.us-isob-east-1.sc2s.sgov.gov", "api.ecr.us-isob-east-1.sc2s.sgov.gov", ""},
	{"123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "api.ecr.eu-isoe-west-1.cloud.adc-e.uk", "api.ecr.eu-isoe-west-1.cloud.adc-e.uk", ""},
	{"123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "api.ecr.us-isof-south-1.csp.hci.ic.gov", "api.ecr.us-isof-south-1.csp.hci.ic.gov", ""},
	{"public.ecr.aws", "api.ecr-public.us-east-1.amazonaws.com", "api.ecr-public.us-east-1.amazonaws.com", ""},
	{"123456789012.dkr.ecr-fips.us-east-2.amazonaws.com", "api.ecr.us-east-2.amazonaws.com", "api.ecr-fips.us-east-2.amazonaws.com", whyEndpoint},
	{"123456789012.dkr-ecr.eu-west-1.on.aws", "api.ecr.eu-west-1.amazonaws.com", "ecr.eu-west-1.api.aws", whyEndpoint},
	{"123456789012.dkr-ecr-fips.us-east-2.on.aws", "api.ecr.us-east-2.amazonaws.com", "ecr-fips.us-east-2.api.aws", whyEndpoint},
	{"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn", "ecr.cn-north-1.api.amazonwebservices.com.cn", whyEndpoint},
	{"ecr-public.aws.com", "api.ecr.eu-west-1.amazonaws.com", "ecr-public.us-east-1.api.aws", whyPublic},
	{"evil.com", "api.ecr.eu-west-1.amazonaws.com", "", whyEvil},
	{"evil.com/123456789012.dkr.ecr.us-east-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com", "", whyEvil},
	{"evil.com:5000", "api.ecr.eu-west-1.amazonaws.com", "", whyEvil},
	{"public.ecr.aws.evil.com", "api.ecr.eu-west-1.amazonaws.com", "", whyEvil},
	{"xpublic.ecr.aws", "api.ecr.eu-west-1.amazonaws.com", "", whyEvil},
	{"123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.com", "api.ecr.eu-west-1.amazonaws.com", "", whyEvil},
	{"evil.123456789012.dkr.ecr.us-east-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com", "", whyEvil},
	{"12345678901.dkr.ecr.us-east-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com", "", whyEvil},
	{"123456789012.dkr.ecr.cn-north-1.amazonaws.com", "api.ecr.cn-north-1.amazonaws.com.cn", "", whyForm},
	{"123456789012.dkr.ecr.us-east-1.amazonaws.com.cn", "api.ecr.us-east-1.amazonaws.com", "", whyForm},
	{"123456789012.dkr.ecr.us-east-1.on.aws", "api.ecr.us-east-1.amazonaws.com", "", whyForm},
	{"123456789012.dkr-ecr.us-east-1.amazonaws.com", "api.ecr.us-east-1.amazonaws.com", "", whyForm},
	{"123456789012.dkr.ecr.evil.amazonaws.com", "api.ecr.evil.amazonaws.com", "", whyForm},
	{"123456789012.dkr.ecr.us-east-1.amazonaws.com:443", "api.ecr.us-east-1.amazonaws.com", "", whyPort},
}

// TestECRBesideThePeer asks ecr-credential-provider and kubecred-aws about the same
// images, with one stand-in for AWS under AWS's own names.
func TestECRBesideThePeer(t *testing.T) {
	peer, err := lab.Program(t.Context(), "ecr-credential-provider", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "kubecred-aws")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", own, "./cmd/kubecred-aws")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "image-credentials.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range ecrCases {
		t.Run(tt.host, func(t *testing.T) {
			t.Parallel()
			host, _, _ := strings.Cut(tt.host, "/")
			a, b := askECR(t, peer, nil, tt.host), askECR(t, own, []string{"get-credentials"}, tt.host)
			if a.asked != tt.peer || !a.answered {
				t.Errorf("the peer asks %q and says %+v, want %q", a.asked, a, tt.peer)
			}
			if (a.asked != b.asked || a.answered != b.answered) != (tt.why != "") {
				t.Errorf("a difference that is not meant:\npeer %+v\nours %+v", a, b)
			}
			switch {
			case b.asked != tt.ours || b.answered != (tt.ours != ""):
				t.Errorf("ours asks %q and says %+v, want %q", b.asked, b, tt.ours)
			case !b.answered && b.words != `kubecred-aws: "`+host+`" is no registry of Amazon ECR, so it gets no password. Leave it out of matchImages, or map it with --host where it stands for one`:
				t.Errorf("ours says %s", b.words)
			case b.answered && (a.key != host || b.key != host || a.keyType != b.keyType):
				t.Errorf("peer %+v\nours %+v", a, b)
			case b.answered && (a.life != 6*time.Hour || b.life < 9*time.Hour || b.life > 11*time.Hour):
				t.Errorf("lives of %s and %s", a.life, b.life) // of 12 hours
			}
		})
		if tt.why != "" && !strings.Contains(string(docs), "**"+tt.why+".**") {
			t.Errorf("docs/image-credentials.md does not tell of: %s", tt.why)
		}
	}
	if !strings.Contains(string(docs), "**"+whyLife+".**") {
		t.Errorf("docs/image-credentials.md does not tell of: %s", whyLife)
	}
}

// askECR runs a provider for an image of the host.
func askECR(t *testing.T, program string, args []string, host string) said {
	t.Helper()
	fake, err := awsfake.Start(awsfake.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	proxy, err := fake.StartProxy()
	if err != nil {
		t.Fatal(err)
	}
	trusted := filepath.Join(t.TempDir(), "trusted.crt")
	writeFile(t, trusted, string(proxy.CA))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{
		"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true", "HTTPS_PROXY=" + proxy.URL, "SSL_CERT_FILE=" + trusted, "SSL_CERT_DIR=" + t.TempDir(),
		"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=" + awsfake.UserKey, "AWS_SECRET_ACCESS_KEY=" + awsfake.UserSecret, "AWS_MAX_ATTEMPTS=1",
	}
	cmd.Stdin = bytes.NewReader(credapi.ProviderRequest{Image: host + "/team/app"}.Encode(credapi.ProviderV1))
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var s said
	var asked []string
	for _, c := range fake.Calls() {
		asked = append(asked, c.Host)
	}
	s.asked = strings.Join(asked, " ")
	if err != nil {
		lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
		s.words = lines[len(lines)-1]
		return s
	}
	resp, err := credapi.ParseProviderResponse([]byte(out.String()))
	if err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	s.answered, s.keyType = len(resp.Auth) == 1, resp.CacheKeyType
	for key := range resp.Auth {
		s.key = key
	}
	if resp.CacheDuration != nil {
		s.life = *resp.CacheDuration
	}
	return s
}
