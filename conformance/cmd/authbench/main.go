//go:build unix

// Authbench measures webhooks for IAM logins side by side: TokenReviews a
// second and their p50 and p99, with repeated and with unique tokens, over TLS
// at several numbers of connections, before one stand-in for STS that checks
// every signature. The servers reach it by HTTPS_PROXY and SSL_CERT_FILE.
//
//	go run ./cmd/authbench [-kubecred ../bin/kubecred] [-for 1s] [-runs 3] [-awake]
//	go run ./cmd/authbench -soak 10m [-rate 1000]
//
// With -awake it prints a second table, measured with the same servers while no
// processor is halted: on a virtual machine a processor without work is, and to
// wake it takes the hypervisor as long as the answer to a review, which says
// something of the hypervisor and nothing of a server. Processes of idle priority
// keep the processors awake; they run while nobody else wants to.
//
// With -soak it asks kubecred alone, at a steady rate and with faults of STS
// switched on and off, and fails where an answer is wrong or memory grows.
//
// aws-iam-authenticator is built once from the module that pins it; -peer names
// another one, or "none".
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	ownName  = "kubecred"
	peerName = "aws-iam-authenticator"
)

type options struct {
	own, peer           string
	connections, tokens string
	span, soak          time.Duration
	rate                int
	runs                int
	awake               bool
}

func main() {
	if err := stayAwake(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var o options
	flag.StringVar(&o.own, "kubecred", "../bin/kubecred", "kubecred")
	flag.StringVar(&o.peer, "peer", "", "aws-iam-authenticator; none to leave it out")
	flag.IntVar(&o.runs, "runs", 3, "measurements of which the median counts")
	flag.DurationVar(&o.span, "for", time.Second, "length of each measurement")
	flag.StringVar(&o.connections, "connections", "1,16,256", "numbers of connections")
	flag.StringVar(&o.tokens, "tokens", "repeated,unique", "kinds of tokens")
	flag.BoolVar(&o.awake, "awake", false, "measure once more while no processor is halted")
	flag.DurationVar(&o.soak, "soak", 0, "instead: ask kubecred for so long, with faults")
	flag.IntVar(&o.rate, "rate", 1000, "with -soak: requests a second")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.soak > 0 {
		s, err := newStand(crowdConfig(), false)
		if err != nil {
			return err
		}
		defer s.close()
		return soak(ctx, s, o)
	}
	s, err := newStand(config, true)
	if err != nil {
		return err
	}
	defer s.close()
	peer, err := peerProgram(ctx, o.peer)
	if err != nil {
		return err
	}
	var counts []int
	for text := range strings.SplitSeq(o.connections, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-connections %q: want numbers", o.connections)
		}
		counts = append(counts, n)
	}
	own, err := s.start(ctx, ownName, o.own)
	if err != nil {
		return err
	}
	defer own.stop()
	servers := []*server{own}
	if peer != "" {
		p, err := s.start(ctx, peerName, peer)
		if err != nil {
			return err
		}
		defer p.stop()
		servers = append(servers, p)
	}
	if err := measure(ctx, servers, counts, o); err != nil || !o.awake {
		return err
	}
	stop, err := keepAwake()
	if err != nil {
		return err
	}
	defer stop()
	fmt.Print("\nWhile no processor is halted:\n\n")
	return measure(ctx, servers, counts, o)
}

// measure prints the table. The servers take turns, so that what else the
// machine does meets both, and of the runs of each the one with the median rate
// counts.
func measure(ctx context.Context, servers []*server, counts []int, o options) error {
	fmt.Println("| tokens | connections | server | a second | p50 | p99 | CPU for each | wrong | RSS |")
	fmt.Println("| --- | --: | --- | --: | --: | --: | --: | --: | --: |")
	var ratios []string
	for kind := range strings.SplitSeq(o.tokens, ",") {
		if kind != "repeated" && kind != "unique" {
			return fmt.Errorf("-tokens %q: want repeated, unique or both", o.tokens)
		}
		for _, n := range counts {
			got := make([][]result, len(servers))
			for range o.runs {
				for i, s := range servers {
					r, err := load(ctx, s, kind == "unique", n, o.span)
					if err != nil {
						return fmt.Errorf("%s, %s tokens, %d connections: %w", s.name, kind, n, err)
					}
					got[i] = append(got[i], r)
				}
			}
			var median []result
			for i, s := range servers {
				slices.SortFunc(got[i], func(a, b result) int { return cmp.Compare(a.rate, b.rate) })
				r := got[i][len(got[i])/2]
				median = append(median, r)
				fmt.Printf("| %s | %d | %s | %.0f | %v | %v | %v | %d | %d MB |\n", kind, n, s.name, r.rate,
					r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond), r.cpu.Round(time.Microsecond), r.wrong, s.rss()>>10)
			}
			if len(median) == 2 {
				ratios = append(ratios, fmt.Sprintf("%s at %d: %.1f times the rate, p99 %.2f of the peer's", kind, n, median[0].rate/median[1].rate, median[0].p99.Seconds()/median[1].p99.Seconds()))
			}
		}
	}
	if ratios != nil {
		fmt.Println("\n" + strings.Join(ratios, "\n"))
	}
	return nil
}
