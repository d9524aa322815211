package main

import (
	"context"
	"fmt"
	"io"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/internal/awscommand"
	"github.com/kubecred/kubecred/internal/awsecr"
	"github.com/kubecred/kubecred/internal/awsissuer"
)

// password answers the kubelet with a registry's user name and password.
func password(ctx context.Context, o awscommand.Options, w world) error {
	data, err := io.ReadAll(io.LimitReader(w.input, credapi.MaxDocument+1))
	if err != nil {
		return fmt.Errorf("reading the request on stdin: %w", err)
	}
	request, err := credapi.ParseProviderRequest(data)
	if err != nil {
		return fmt.Errorf("the request on stdin: %w", err)
	}
	r := awsissuer.PasswordRequest{
		Source: source(o), Image: request.Image, Token: request.ServiceAccountToken,
		Annotations: request.ServiceAccountAnnotations, Identity: awsissuer.Identity(o.Identity), Tried: w.left.Attempt,
	}
	if r.Aliases, err = awsecr.ParseAliases(o.Hosts); err != nil {
		return err
	}
	limit := batchTimeout
	if began := w.left.Began; !began.IsZero() {
		limit -= w.now().Sub(began)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p, err := awsissuer.RegistryPassword(ctx, w.aws(false), r)
	if err != nil {
		return err
	}
	if p.Warning != "" {
		fmt.Fprintf(w.stderr, "kubecred-aws: %s\n", p.Warning)
	}
	response := credapi.ProviderResponse{
		CacheKeyType: credapi.CacheByRegistry, CacheDuration: &p.Keep,
		Auth: map[string]credapi.AuthConfig{p.Host: {Username: p.Username, Password: p.Password}},
	}
	_, err = fmt.Fprintf(w.stdout, "%s\n", response.Encode(request.APIVersion))
	return err
}
