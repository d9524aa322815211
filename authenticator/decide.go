package authenticator

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubecred/kubecred/ekstoken/verify"
	"github.com/kubecred/kubecred/iammap"
)

// decision is the outcome of a review, for the log.
type decision struct {
	result   string
	reason   string
	user     iammap.ClusterUser
	id       *iammap.Identity // nil where it is not known
	by       iammap.Match     // the entry that mapped it
	endpoint string
	cluster  string
	retry    time.Duration
	scrubbed bool
	review   string // its id, where nobody is let in
}

// instanceTTL is for how long an answer with an EC2 instance's name is given
// without looking at the resolver's cache again.
const instanceTTL = time.Minute

// decide maps an identity.
func (h *Handler) decide(ctx context.Context, table *iammap.Table, kn *known, sum key, now time.Time) *answer {
	d := decision{
		result: resultUnmapped, id: &kn.id, endpoint: kn.endpoint, cluster: kn.cluster,
		scrubbed: slices.Contains(h.o.ScrubbedAccounts, kn.id.Account),
	}
	m, ok := table.Lookup(kn.id)
	if !ok {
		d.reason = "no mapping for " + kn.id.Canonical
		if err := h.o.Mappings.Ready(); err != nil { // it may be in what is missing
			d.result, d.retry, d.reason = resultUnavailable, time.Second, d.reason+", and not all are loaded: "+err.Error()
		}
		return refusal(table, d, sum)
	}
	d.by = m
	u, err := table.User(ctx, m, kn.id, h.o.Instances)
	switch {
	case err == nil:
	case errors.Is(err, iammap.ErrReserved), errors.Is(err, iammap.ErrNoInstance), errors.Is(err, iammap.ErrNoResolver), errors.Is(err, ErrNoSuchInstance):
		d.result, d.reason = resultForbidden, err.Error()
		return refusal(table, d, sum)
	default: // EC2 could not be asked
		d.result, d.reason, d.retry = resultUnavailable, err.Error(), time.Second
		return refusal(table, d, sum)
	}
	d.result, d.user = resultAuthenticated, u
	a := &answer{table: table, decision: d}
	named := func(template string) bool { return strings.Contains(template, "{{EC2") }
	if named(m.Entry.Username) || slices.ContainsFunc(m.Entry.Groups, named) {
		a.resolvedTill = now.Add(instanceTTL)
	}
	return a
}

// deny answers for a token that is not one of anybody.
func (h *Handler) deny(sum key, err error) *answer {
	e, ok := errors.AsType[*verify.Error](err)
	if !ok {
		e = &verify.Error{Kind: verify.Unavailable, Message: "failed inside", Err: err}
	}
	d := decision{result: string(e.Kind), reason: e.Error(), endpoint: e.Endpoint}
	if retryable(e) {
		d.retry = max(e.RetryAfter, time.Second)
	}
	return refusal(nil, d, sum)
}

// refusal is the answer to who is not let in.
func refusal(table *iammap.Table, d decision, sum key) *answer {
	d.review = reviewID(sum)
	return &answer{table: table, decision: d}
}

// reviewID names a review without its token.
func reviewID(sum key) string { return hex.EncodeToString(sum[:6]) }

// log writes the decision, which was cached as hit, stale, shared or miss.
func (h *Handler) log(ctx context.Context, sum key, a *answer, cached string, took time.Duration) {
	d := &a.decision
	level, message := slog.LevelInfo, "access granted"
	if d.result != resultAuthenticated {
		level, message = slog.LevelWarn, "access denied"
	}
	if !h.o.Log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs, slog.String("review", reviewID(sum)), slog.String("result", d.result))
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	add("reason", d.reason)
	add("cache", cached)
	add("username", d.user.Username)
	if d.user.Groups != nil {
		attrs = append(attrs, slog.Any("groups", d.user.Groups))
	}
	if d.by.Entry != nil {
		add("entry", d.by.Source.Name+":"+strconv.Itoa(d.by.Entry.ARNPos.Line))
	}
	if d.id != nil && !d.scrubbed {
		add("arn", d.id.ARN)
		add("userID", d.id.UserID)
		add("accessKeyID", d.id.AccessKeyID)
	}
	add("endpoint", d.endpoint)
	add("cluster", d.cluster)
	attrs = append(attrs, slog.Duration("took", took))
	// Not by the logger, which would find out each time that this line calls it.
	r := slog.NewRecord(h.o.Now(), level, message, 0)
	r.AddAttrs(attrs...)
	_ = h.o.Log.Handler().Handle(ctx, r)
}
