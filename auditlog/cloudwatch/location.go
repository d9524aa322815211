// Package cloudwatch is a source of audit events for clusters on EKS: CloudWatch
// Logs, asked through Logs Insights.
//
// The filter runs at AWS: only requests with the stale-token mark and 401s come
// back, and then the other requests of the accounts that were marked, so that
// fresh tokens are known as well. A query returns at most 10,000 rows; a time
// span that has more is halved until each part has fewer, so that no row is
// lost. What fails is a stream of its own: the report then names the hours.
package cloudwatch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// Scheme begins the name of such a source.
const Scheme = "cloudwatch://"

// Location says where logs are: cloudwatch://REGION/CLUSTER[,CLUSTER...].
type Location struct {
	Region string
	// Groups are log groups: a cluster's is /aws/eks/CLUSTER/cluster.
	Groups []Group
}

// Group is a log group and how a person called it.
type Group struct{ Name, LogGroup string }

var regionName = lazyexp.New(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)

// Long repetitions take long to compile: every start of the program would.
var (
	clusterName = lazyexp.New(`^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$`)
	groupName   = lazyexp.New(`^/[A-Za-z0-9_./#-]{1,511}$`)
)

// Parse reads a source's name. A log group with another name than EKS gives is
// written with its slashes: cloudwatch://eu-west-1//my/log/group.
func Parse(name string) (Location, error) {
	rest, ok := strings.CutPrefix(name, Scheme)
	if !ok {
		return Location{}, fmt.Errorf("%s: a source in CloudWatch is written %sREGION/CLUSTER", name, Scheme)
	}
	region, clusters, _ := strings.Cut(rest, "/")
	if !regionName().MatchString(region) {
		return Location{}, fmt.Errorf("%s: %q is no region: write %sREGION/CLUSTER, such as %seu-west-1/prod", name, region, Scheme, Scheme)
	}
	l := Location{Region: region}
	for c := range strings.SplitSeq(clusters, ",") {
		g := Group{Name: Scheme + region + "/" + c}
		switch {
		case clusterName().MatchString(c):
			g.LogGroup = "/aws/eks/" + c + "/cluster"
		case groupName().MatchString(c):
			g.LogGroup = c
		case c == "":
			return Location{}, fmt.Errorf("%s: no cluster is named: write %s%s/CLUSTER", name, Scheme, region)
		default:
			return Location{}, fmt.Errorf("%s: %q is no cluster's name", name, c)
		}
		if !slices.Contains(l.Groups, g) {
			l.Groups = append(l.Groups, g)
		}
	}
	return l, nil
}
