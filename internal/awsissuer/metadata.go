package awsissuer

import (
	"context"
	"io"

	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"github.com/kubecred/kubecred/internal/awskeys"
)

// metadataRegion is the region of the instance, where there is one and nothing
// else tells the region.
func (l *loaded) metadataRegion(ctx context.Context, w World) string {
	if awskeys.IsTrue(w.Getenv("AWS_EC2_METADATA_DISABLED")) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	out, err := imds.NewFromConfig(l.Config).GetRegion(ctx, nil)
	if err != nil {
		return ""
	}
	return out.Region
}

// boundedMetadata keeps machines without instance metadata from waiting for it.
type boundedMetadata struct{ client func() *imds.Client }

func (b boundedMetadata) GetMetadata(ctx context.Context, in *imds.GetMetadataInput, options ...func(*imds.Options)) (*imds.GetMetadataOutput, error) {
	// The answer is read after the call returns, so the context must live on.
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	out, err := b.client().GetMetadata(ctx, in, options...)
	if err != nil {
		cancel()
		return nil, err
	}
	out.Content = closing{out.Content, cancel}
	return out, nil
}

// closing ends a context with the reading of a body.
type closing struct {
	io.ReadCloser
	cancel func()
}

func (c closing) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}
