package explain

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"

	"github.com/kubecred/kubecred/finding"
)

// jwt makes a token of claims, with a signature that is none.
func jwt(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + enc([]byte(claims)) + "." + enc([]byte("no signature"))
}

// eksToken makes an EKS token of a query.
func eksToken(query string) string {
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte("https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261122%2Feu-west-1%2Fsts%2Faws4_request"+query))
}

func provider(match, image string) []string {
	return []string{"apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: p\n  matchImages: [\"" + match +
		"\"]\n  defaultCacheDuration: 1m\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n", image}
}

func mapRole(arn string) []string {
	return []string{"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: aws-auth, namespace: kube-system}\ndata:\n  mapRoles: |\n    - rolearn: " + arn +
		"\n      username: dev:x\n      groups: [dev, \"system:nodes\"]\n", "arn:aws:sts::012345678901:assumed-role/dev/bob"}
}

const awsEntry = "users:\n- name: u\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n      command: aws\n      args: [--region, eu-west-1, eks, get-token, --cluster-name, c, --output, json%s]\n"

const unauthorized = "error: You must be logged in to the server (Unauthorized)"

// pastes hit rules that no report does, each with the rule that must be among
// the causes.
var pastes = map[string][]string{
	"aws-expired-credentials":      {"Unable to connect to the server: getting credentials: exec: executable aws failed with exit code 254\nAn error occurred (ExpiredToken) when calling the GetCallerIdentity operation: The security token included in the request is expired"},
	"pod-identity-expired":         {"CredentialRetrievalError: Error when retrieving credentials from container-role: Received non 200 response 400 from container metadata: (ExpiredTokenException): The token included in the request is expired"},
	"web-identity-session-expired": {"AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/eks.amazonaws.com/serviceaccount/token\nExpiredTokenException: The security token included in the request is expired"},
	"watch-refused":                {`E0101 10:00:00.000000       1 reflector.go:138] k8s.io/client-go@v0.29.3/tools/cache/reflector.go:229: Failed to watch *v1.Service: failed to list *v1.Service: Unauthorized`},
	"aws-bad-credentials":          {"kubectl get ns\nAn error occurred (UnrecognizedClientException) when calling the DescribeCluster operation: The security token included in the request is invalid"},
	"assume-role-denied":           {"An error occurred (AccessDenied) when calling the AssumeRole operation: User: arn:aws:iam::111122223333:user/bob is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/dev\ngetting credentials: exec: executable aws failed with exit code 254"},
	"kubelogin-missing":            {"Unable to connect to the server: getting credentials: exec: executable kubelogin not found"},
	"identity-of-the-shell":        {fmt.Sprintf(awsEntry, ""), unauthorized},
	"identity-of-the-entry":        {fmt.Sprintf(awsEntry, ", --profile, prod"), unauthorized},
	"server-certificate":           {"Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
	"doctl-login":                  {"Error: Unable to initialize DigitalOcean API client: access token is required. (hint: run 'doctl auth init')"},
	"two-aws-clis":                 {"$ which -a aws\n/usr/local/bin/aws\n/usr/bin/aws\n$ aws --version\naws-cli/1.16.1 Python/2.7.18 Linux/5.4 botocore/1.12"},
	"pattern-scheme":               provider("https://registry.example.com", "registry.example.com/app:1"),
	"pattern-nearly-ecr":           provider("*.dkr.ecr.*.amazonaws.cn", "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/app:1"),
	"pattern-never":                provider("[::1]/app", "registry.example.com/app:1"),
	"pattern-few-labels":           provider("*.io", "a.b.io/app:1"),
	"pattern-upper-case":           provider("Registry.example.com", "registry.example.com/app:1"),
	"pattern-docker-hub":           provider("index.docker.io", "docker.io/library/busybox:1"),
	"plugin-answer-no-kind":        {`{"cacheKeyType":"Registry","auth":{"r.example.com":{"username":"u","password":"x"}}}`},
	"plugin-answer-empty":          {`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","auth":null}`},
	"pull-secret-other-host":       {`{"auths":{"https://registry.example.com":{"auth":"REDACTED"}}}`, "image: registry.example.com:5000/app:1"},
	"kubelet-flags-half":           {"kubelet --config=/var/lib/kubelet/config.yaml --image-credential-provider-config=/etc/kubernetes/providers.yaml"},
	"kubelet-flag-in-config":       {"apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nimageCredentialProviderConfigFile: /etc/kubernetes/providers.yaml\n"},
	"token-expired":                {"curl: 401 Unauthorized with " + jwt(`{"iss":"https://kubernetes.default.svc","sub":"system:serviceaccount:a:b","exp":1700003600,"iat":1700000000,"kubernetes.io":{"namespace":"a","serviceaccount":{"name":"b"}}}`)},
	"token-stale-now":              {jwt(`{"iss":"https://kubernetes.default.svc","sub":"system:serviceaccount:a:b","exp":1798000000,"iat":1790224000,"kubernetes.io":{"namespace":"a","pod":{"name":"p"},"serviceaccount":{"name":"b"},"warnafter":1790227607}}`), "2026-11-22T04:00:00Z"},
	"no-extension-flag":            {"kube-apiserver --service-account-issuer=https://x --service-account-extend-token-expiration=false", "Unauthorized"},
	"aks-one-hour":                 {"on AKS 1.30 our old service gets 401 Unauthorized after an hour"},
	"one-day-token":                {jwt(`{"iss":"https://oidc.eks.eu-west-1.amazonaws.com/id/X","sub":"system:serviceaccount:a:b","exp":1700086400,"iat":1700000000,"kubernetes.io":{"namespace":"a","pod":{"name":"p"},"serviceaccount":{"name":"b"}}}`), "401 Unauthorized"},
	"irsa-issuer":                  {jwt(`{"iss":"https://oidc.eks.eu-west-1.amazonaws.com/id/NEW","aud":["sts.amazonaws.com"],"sub":"system:serviceaccount:a:b","exp":1800086400,"iat":1700000000,"kubernetes.io":{"namespace":"a","serviceaccount":{"name":"b"}}}`), `{"Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/OLD"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"oidc.eks.eu-west-1.amazonaws.com/id/OLD:sub":"system:serviceaccount:a:b"}}}]}`},
	"acts-as-node":                 {"AccessDenied: User: arn:aws:sts::111122223333:assumed-role/eks_node_groups/i-0123456789abcdef0 is not authorized to perform: s3:ListBucket on resource: arn:aws:s3:::b"},
	"stale-mark":                   {"subject: system:serviceaccount:team:worker, seconds after warning threshold: 99"},
	"irsa-key-typo":                {"apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: a\n  namespace: b\n  annotations:\n    eks.amazonaws.com/role: arn:aws:iam::111122223333:role/r\n"},
	"subpath-token":                {"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: c\n    image: busybox\n    volumeMounts:\n    - {name: t, mountPath: /var/run/token, subPath: token}\n  volumes:\n  - name: t\n    projected:\n      sources:\n      - serviceAccountToken: {path: token, audience: vault}\n"},
	"istio-cni-frozen":             {`plugin type="istio-cni" name="istio-cni" failed (add): Unauthorized`},
	"plugin-hangs":                 {"W0427 20:52:20.707903 1822168 transport.go:260] Unable to cancel request for *exec.roundTripper"},
	"kubelet-clock":                {"jwt: Token used before issued"},
	"oidc-token-expired":           {jwt(`{"iss":"https://idp.example.com","aud":"kubernetes","sub":"alice","exp":1700003600,"iat":1700000000}`)},
	"account-not-twelve":           {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: aws-auth, namespace: kube-system}\ndata:\n  mapAccounts: |\n    - 12345678901\n"},
	"wildcard-in-arn":              mapRole("arn:aws:iam::012345678901:role/d*"),
	"fargate-role":                 {"Pod provisioning timed out (will retry) for pod: default/app", "fargate-scheduler"},
	"token-future-clock":           {eksToken("&X-Amz-Date=20261122T090000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Signature=00"), "2026-11-22T04:00:00Z"},
	"token-no-cluster":             {eksToken("&X-Amz-Date=20261122T035900Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00")},
	"padded-token":                 {"token: " + eksToken("&X-Amz-Date=20261122T035900Z&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id") + "=="},
	"audience-of-webhook":          {`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"audiences":["https://kubernetes.default.svc"]},"status":{"authenticated":true,"audiences":["other"],"user":{"username":"a"}}}`},
	"authconfig-keys":              {"clusterID: demo\nserver:\n  mapRoles:\n  - rolearn: arn:aws:iam::012345678901:role/dev\n    username: dev\n"},
	"plugin-role-denied":           {`"Error running credential provider plugin: error getting credentials: failed to assume role: operation error STS: AssumeRoleWithWebIdentity, api error AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"`},
	"flag-unknown":                 {"Error: failed to parse kubelet flag: unknown flag: --image-credential-provider-config"},
	"restart-helps":                {"our operator gets Unauthorized from the API server after an hour, a restart of the pod fixes it"},
	"invalid-bearer":               {`E1122 04:00:00.000000       1 authentication.go:75] "Unable to authenticate the request" err="invalid bearer token"`},
}

func TestPastes(t *testing.T) {
	for rule, inputs := range pastes {
		a := judge(t, inputs...)
		if !slices.ContainsFunc(a.Causes, func(c Cause) bool { return c.Rule == rule }) {
			var got []string
			for _, c := range a.Causes {
				got = append(got, c.Rule)
			}
			t.Errorf("%s: got %v", rule, got)
		}
	}
}

// TestEveryRuleIsHit wants every rule among the causes of a report, of a code's
// own message or of a paste above.
func TestEveryRuleIsHit(t *testing.T) {
	hit := map[string]bool{}
	seen := func(a Answer) {
		for _, c := range a.Causes {
			hit[c.Rule] = true
		}
	}
	note := func(inputs ...string) { seen(judge(t, inputs...)) }
	for _, r := range readReports(t) {
		seen(r.answer(t))
	}
	for _, c := range finding.Codes() {
		for _, m := range c.Messages {
			note(m.Text)
		}
	}
	for _, inputs := range pastes {
		note(inputs...)
	}
	for _, r := range rules() {
		if !hit[r.ID] {
			t.Errorf("no report, message or paste hits rule %s", r.ID)
		}
	}
}
