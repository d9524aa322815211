package awsissuer_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/internal/awsfake"
	"github.com/kubecred/kubecred/internal/awsissuer"
)

// A clock that is wrong by much is known from the first answer of AWS, be it a
// refusal: what is signed after that is signed with AWS's time, and the token
// too, and the person is told.
func TestWrongClock(t *testing.T) {
	for _, off := range []time.Duration{-26 * time.Hour, -30 * time.Minute, -90 * time.Second, 90 * time.Second, 30 * time.Minute, 26 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			p := newPlace(t, awsfake.Default())
			p.environmentKeys()
			p.fake.Skew(off)
			before := time.Now()
			tok, parsed, err := p.token(awsissuer.TokenRequest{Source: awsissuer.Source{Roles: []string{awsfake.AdminRole}}})
			want := " behind AWS's"
			if off < 0 {
				want = " ahead of AWS's"
			}
			if err != nil {
				var ours *awsissuer.Error
				if !errors.As(err, &ours) || !strings.Contains(err.Error(), "this machine's clock is ") || !strings.Contains(err.Error(), want) {
					t.Fatalf("the error does not say so: %v", err)
				}
				return
			}
			if signed := parsed.Date.Sub(before) - off; signed.Abs() > 10*time.Second {
				t.Errorf("signed %s from AWS's time", signed)
			}
			if left := tok.Expires.Sub(before); left < 13*time.Minute || left > 15*time.Minute {
				t.Errorf("it is said to live for %s by this machine's clock", left)
			}
			if !strings.Contains(tok.Warning, want) {
				t.Errorf("nobody is told: %q", tok.Warning)
			}
		})
	}
}
