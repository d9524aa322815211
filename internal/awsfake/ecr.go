package awsfake

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
)

// registrySuffix is where a partition has its registries.
var registrySuffix = map[string]string{
	"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-eusc": "amazonaws.eu",
	"aws-iso": "c2s.ic.gov", "aws-iso-b": "sc2s.sgov.gov", "aws-iso-e": "cloud.adc-e.uk", "aws-iso-f": "csp.hci.ic.gov",
}

func (s *Server) registryPassword() string {
	password := s.config.RegistryPassword
	if password == "" {
		password = "ecr-pass"
	}
	return base64.StdEncoding.EncodeToString([]byte("AWS:" + password))
}

func (s *Server) registryExpiry() time.Time {
	life := s.config.RegistryTokenLife
	if life == 0 {
		life = 12 * time.Hour
	}
	return s.now().Add(life)
}

func (s *Server) registryToken(k Key, region string, body []byte) (any, *awsError) {
	var in struct {
		RegistryIDs []string `json:"registryIds"`
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, &awsError{http.StatusBadRequest, "SerializationException", "bad JSON"}
		}
	}
	if len(in.RegistryIDs) == 0 {
		in.RegistryIDs = []string{k.Account}
	}
	var data []map[string]any
	for _, id := range in.RegistryIDs {
		data = append(data, map[string]any{
			"authorizationToken": s.registryPassword(),
			"expiresAt":          epoch(s.registryExpiry()),
			"proxyEndpoint":      "https://" + id + ".dkr.ecr." + region + "." + registrySuffix[ekstoken.PartitionOf(region)],
		})
	}
	return map[string]any{"authorizationData": data}, nil
}

func (s *Server) publicRegistryToken(region string) (any, *awsError) {
	if region != "us-east-1" {
		return nil, &awsError{http.StatusBadRequest, "InvalidParameterException", "ecr-public is in us-east-1 only"}
	}
	return map[string]any{"authorizationData": map[string]any{
		"authorizationToken": s.registryPassword(),
		"expiresAt":          epoch(s.registryExpiry()),
	}}, nil
}
