package wait

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, asked := time.Now(), 0
		err := Until(t.Context(), time.Second, func() bool { asked++; return asked == 4 })
		if took := time.Since(begin); err != nil || asked != 4 || took != 3*time.Second {
			t.Errorf("asked %d times in %s: %v", asked, took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		begin = time.Now()
		if err := Until(ctx, time.Second, func() bool { return false }); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 2500*time.Millisecond {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
		if err := Until(ctx, time.Second, func() bool { return true }); err != nil {
			t.Errorf("what is true already: %v", err)
		}
	})
}

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		For(t.Context(), time.Minute)
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("it took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		For(ctx, time.Minute)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("it took %s, and the context had ended", took)
		}
	})
}
