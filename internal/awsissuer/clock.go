package awsissuer

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// clock compares AWS's time with the machine's, in each answer.
type clock struct {
	now func() time.Time

	mu   sync.Mutex
	skew time.Duration // how far the machine is behind AWS
	seen bool
}

// watch adds the comparison to a client.
func (c *clock) watch(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("KubecredClock", func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		if resp, ok := out.RawResponse.(*smithyhttp.Response); ok && resp != nil && resp.Response != nil {
			c.compare(resp.Header.Get("Date"))
		}
		return out, metadata, err
	}), middleware.After)
}

// compare takes the time that an answer tells.
func (c *clock) compare(date string) {
	if at, err := http.ParseTime(date); err == nil {
		c.mu.Lock()
		c.skew, c.seen = at.Sub(c.now()), true
		c.mu.Unlock()
	}
}

// offset is how far the machine's clock is behind AWS's, where more than a
// minute; less is the way of the answer.
func (c *clock) offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen && c.skew.Abs() > time.Minute {
		return c.skew.Round(time.Second)
	}
	return 0
}
