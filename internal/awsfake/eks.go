package awsfake

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/kubecred/kubecred/ekstoken"
)

func (s *Server) describeCluster(region, name string) (any, *awsError) {
	i := slices.IndexFunc(s.config.Clusters, func(c Cluster) bool { return c.Name == name && c.Region == region })
	if i < 0 {
		return nil, &awsError{http.StatusNotFound, "ResourceNotFoundException", "No cluster found for name: " + name + "."}
	}
	c := s.config.Clusters[i]
	status := c.Status
	if status == "" {
		status = "ACTIVE"
	}
	out := map[string]any{
		"name": c.Name, "arn": c.ARN(), "version": c.Version, "status": status,
		"tags": map[string]string{},
	}
	if status != "CREATING" {
		out["endpoint"] = c.Endpoint
		out["certificateAuthority"] = map[string]string{"data": base64.StdEncoding.EncodeToString([]byte(c.CA))}
	}
	if c.ID != "" {
		out["id"] = c.ID
		out["outpostConfig"] = map[string]any{"outpostArns": []string{"arn:aws:outposts:" + c.Region + ":" + c.Account + ":outpost/op-1"}, "controlPlaneInstanceType": "m5.large"}
	}
	return map[string]any{"cluster": out}, nil
}

// ARN is the cluster's ARN.
func (c Cluster) ARN() string {
	partition := ekstoken.PartitionOf(c.Region)
	if partition == "" {
		partition = "aws"
	}
	return "arn:" + partition + ":eks:" + c.Region + ":" + c.Account + ":cluster/" + c.Name
}

// listClusters answers in pages of maxResults, 2 where none is asked for, so
// that a client that forgets the next page is found out.
func (s *Server) listClusters(region string, param func(string) string) (any, *awsError) {
	names := []string{}
	for _, c := range s.config.Clusters {
		if c.Region == region {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	start := 0
	if token := param("nextToken"); token != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(token, "page-"))
		if err != nil || n < 0 || n > len(names) {
			return nil, &awsError{http.StatusBadRequest, "InvalidParameterException", "bad nextToken"}
		}
		start = n
	}
	size := 2
	if n, err := strconv.Atoi(param("maxResults")); err == nil && n > 0 && n < size {
		size = n
	}
	end := min(start+size, len(names))
	out := map[string]any{"clusters": names[start:end]}
	if end < len(names) {
		out["nextToken"] = "page-" + strconv.Itoa(end)
	}
	return out, nil
}
