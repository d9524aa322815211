package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/auditlog"
	"github.com/kubecred/kubecred/auditlog/cloudwatch"
	"github.com/kubecred/kubecred/auditlog/loki"
	"github.com/kubecred/kubecred/internal/lazyexp"
	"github.com/kubecred/kubecred/satoken"
)

// clusterLog is what is judged together: the log of one cluster, as far as the
// sources' names tell.
type clusterLog struct {
	cluster string // "" where there is only one
	sources []auditlog.Source
}

// logs makes the sources that are named. Clusters in CloudWatch are logs of their
// own, because the same account in another cluster is another account: a fresh
// token there heals nothing here.
func (a *app) logs(ctx context.Context, names []string, o tokenOptions, now time.Time) ([]clusterLog, error) {
	var files []auditlog.Source
	var clusters []clusterLog
	stdin := false
	for _, name := range names {
		switch {
		case name == "":
			return nil, errors.New(`a source is "": give a file, a directory or -`)
		case name == "-" && stdin:
			return nil, errors.New("stdin can be read only once: give - once")
		case name == "-":
			stdin = true
			files = append(files, auditlog.Reader("stdin", a.Stdin))
		case strings.HasPrefix(name, cloudwatch.Scheme):
			at, err := cloudwatch.Parse(name)
			if err != nil {
				return nil, err
			}
			for _, g := range at.Groups {
				if slices.ContainsFunc(clusters, func(l clusterLog) bool { return l.cluster == g.Name }) {
					continue
				}
				engine, err := a.cloudWatch(ctx, cloudwatch.Location{Region: at.Region, Groups: []cloudwatch.Group{g}}, o, now)
				if err != nil {
					return nil, err
				}
				clusters = append(clusters, clusterLog{g.Name, []auditlog.Source{engine}})
			}
		case loki.IsLocation(name):
			engine, err := a.lokiSource(name, o, now)
			if err != nil {
				return nil, err
			}
			files = append(files, engine)
		case scheme().MatchString(name) && !exists(name):
			return nil, fmt.Errorf("%s: no engine of this kind is known: give a file, a directory, -, cloudwatch://REGION/CLUSTER or loki+https://HOST/?query=SELECTOR", name)
		default:
			files = append(files, auditlog.Path(name))
		}
	}
	if len(clusters) < 2 {
		one := clusterLog{sources: files}
		for _, c := range clusters {
			one.sources = append(one.sources, c.sources...)
		}
		return []clusterLog{one}, nil
	}
	for i := range clusters {
		clusters[i].cluster = strings.TrimPrefix(clusters[i].cluster, cloudwatch.Scheme)
	}
	if len(files) > 0 {
		clusters = append(clusters, clusterLog{sources: files})
	}
	return clusters, nil
}

// oneCluster refuses sources that are of several clusters, where a command acts
// on one.
func oneCluster(names []string) error {
	var groups []cloudwatch.Group
	for _, name := range names {
		if strings.HasPrefix(name, cloudwatch.Scheme) {
			at, err := cloudwatch.Parse(name)
			if err != nil {
				return err
			}
			groups = append(groups, at.Groups...)
		}
	}
	if groups = slices.Compact(groups); len(groups) > 1 {
		return fmt.Errorf("%s and %s are two clusters, and this command is about one: name one", groups[0].Name, groups[1].Name)
	}
	return nil
}

// ofCluster names the cluster of what was judged.
func ofCluster(j satoken.Judgement, cluster string) satoken.Judgement {
	for i := range j.Tokens {
		j.Tokens[i].Cluster = cluster
	}
	for i := range j.Rejected {
		j.Rejected[i].Cluster = cluster
	}
	return j
}

// together joins what was judged of two clusters.
func together(a, b satoken.Judgement) satoken.Judgement {
	a.Tokens = append(a.Tokens, b.Tokens...)
	a.Rejected = append(a.Rejected, b.Rejected...)
	a.Seen += b.Seen
	a.Forgotten += b.Forgotten
	a.Before += b.Before
	a.After += b.After
	a.DroppedClients += b.DroppedClients
	return a
}

// scheme is how an address begins that is no path.
var scheme = lazyexp.New(`^[a-z][a-z0-9+.-]*://`)

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
