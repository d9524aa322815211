package cluster

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
)

// audienceVerb is what a node must be allowed to do with an audience that no
// volume of the pod names (NodeRestriction in k8s.io/kubernetes
// plugin/pkg/admission/noderestriction/admission.go).
const audienceVerb = "request-serviceaccounts-token-audience"

// NodesMayRequest asks the API server whether nodes may request tokens of any
// service account for the audience. It asks as for a node that does not exist,
// so a right of one node alone, or for some accounts alone, is not seen.
func (c *Client) NodesMayRequest(ctx context.Context, audience string) (bool, error) {
	return c.nodeMayRequest(ctx, "kubecred", "", "", audience)
}

// nodeMayRequest asks for one node and one account, "" for any.
func (c *Client) nodeMayRequest(ctx context.Context, node, namespace, account, audience string) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "system:node:" + node, Groups: []string{"system:nodes", "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: audienceVerb, Version: "v1", Resource: audience, Namespace: namespace, Name: account},
	}}
	if err := c.kube.authorization.create(ctx, "subjectaccessreviews", review); err != nil {
		return false, explain(err, fmt.Sprintf("the right of nodes to the audience %q", audience), c.Name)
	}
	return review.Status.Allowed, nil
}
