//go:build linux

package main

import (
	"context"
	"io"
	"slices"
	"time"
)

// row is one command.
type row struct {
	name    string
	argv    []string // without a program, the row is left out
	stdin   string
	cold    bool // the cache is emptied before each run
	slow    bool // an eighth of the runs
	against []limit

	times []time.Duration
	peak  int64 // bytes
}

func (r *row) median() time.Duration {
	slices.Sort(r.times)
	return r.times[len(r.times)/2]
}

// limit compares a row with another one of its table, and says what is promised:
// the most of the other's time and of its memory, 0 where nothing is.
type limit struct {
	than         string
	time, memory float64
}

// table is a list of rows that are measured in turn and shown together.
type table struct {
	name, title string
	rows        func(programs) []*row
	// after measures what is no row.
	after func(context.Context, place, io.Writer) error
}

var tables = []table{
	{"client", "Tokens for the API server", clientRows, crowd},
	{"image", "Passwords for a registry", imageRows, nil},
}

func tableNames() (names []string) {
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}

const (
	word          = "a Go program that prints one word"
	authenticator = "aws-iam-authenticator token"
	cli           = "aws eks get-token"
	ecr           = "ecr-credential-provider"
)

func clientRows(p programs) []*row {
	token := []string{p["kubecred-aws"], "token", "--cluster-name", "demo"}
	broker := append([]string{p["kubecred-exec"], "client", "--"}, token...)
	return []*row{
		{name: word, argv: []string{p["word"]}},
		{name: authenticator, argv: []string{p["aws-iam-authenticator"], "token", "-i", "demo"}},
		{name: cli, argv: []string{p["aws"], "eks", "get-token", "--cluster-name", "demo", "--output", "json"}, slow: true},
		{name: "kubecred-exec client, warm", argv: broker, against: []limit{
			{than: word, time: 2, memory: 2}, {than: authenticator, time: 1. / 8}, {than: cli, time: 1. / 200},
		}},
		{name: "kubecred-exec client, cold", argv: broker, cold: true, against: []limit{{than: authenticator, time: 1. / 2}}},
		{name: "kubecred-aws token", argv: token, against: []limit{{than: authenticator}}},
	}
}

func imageRows(p programs) []*row {
	const request = `{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/app"}`
	password := []string{p["kubecred-aws"], "get-credentials"}
	broker := append([]string{p["kubecred-exec"], "image", "--"}, password...)
	return []*row{
		{name: word, argv: []string{p["word"]}},
		{name: ecr, argv: []string{p["ecr-credential-provider"]}, stdin: request},
		{name: "kubecred-exec image, warm", argv: broker, stdin: request, against: []limit{{than: word}, {than: ecr}}},
		{name: "kubecred-exec image, cold", argv: broker, stdin: request, cold: true, against: []limit{{than: ecr}}},
		{name: "kubecred-aws get-credentials", argv: password, stdin: request, against: []limit{{than: ecr}}},
	}
}
