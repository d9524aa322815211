package cluster

import (
	"context"
	"fmt"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Binding is an RBAC binding that names a user or one of its groups.
type Binding struct {
	Kind      string `json:"kind"` // ClusterRoleBinding or RoleBinding
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Role      string `json:"role"`    // "ClusterRole/view"
	Subject   string `json:"subject"` // "Group devs"
}

// Bindings lists the bindings that name the user or one of the groups.
func (c *Client) Bindings(ctx context.Context, user string, groups []string) ([]Binding, error) {
	var out []Binding
	add := func(kind, namespace, name string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		for _, s := range subjects {
			if s.Kind == rbacv1.UserKind && s.Name == user && user != "" || s.Kind == rbacv1.GroupKind && slices.Contains(groups, s.Name) {
				out = append(out, Binding{kind, namespace, name, ref.Kind + "/" + ref.Name, s.Kind + " " + s.Name})
			}
		}
	}
	options := metav1.ListOptions{Limit: pageSize}
	for {
		var list rbacv1.ClusterRoleBindingList
		if err := c.kube.rbac.list(ctx, "clusterrolebindings", "", options, &list); err != nil {
			return nil, fmt.Errorf("listing ClusterRoleBindings: %w", err)
		}
		for i := range list.Items {
			b := &list.Items[i]
			add("ClusterRoleBinding", "", b.Name, b.RoleRef, b.Subjects)
		}
		if options.Continue = list.Continue; options.Continue == "" {
			break
		}
	}
	for {
		var list rbacv1.RoleBindingList
		if err := c.kube.rbac.list(ctx, "rolebindings", "", options, &list); err != nil {
			return nil, fmt.Errorf("listing RoleBindings: %w", err)
		}
		for i := range list.Items {
			b := &list.Items[i]
			add("RoleBinding", b.Namespace, b.Name, b.RoleRef, b.Subjects)
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return out, nil
		}
	}
}

// Access is a question to the API server's authorizers and their answer.
type Access struct {
	Verb      string `json:"verb"`
	Group     string `json:"group,omitempty"`
	Resource  string `json:"resource"`
	Namespace string `json:"namespace,omitempty"`
	Allowed   bool   `json:"allowed"`
	Reason    string `json:"reason,omitempty"`
}

// May asks for each question whether the user may, by SubjectAccessReview. The
// answer is that of all authorizers, not of RBAC alone.
func (c *Client) May(ctx context.Context, user string, groups []string, questions []Access) ([]Access, error) {
	out := make([]Access, len(questions))
	for i, q := range questions {
		r := &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: user, Groups: append(slices.Clone(groups), "system:authenticated"),
				ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: q.Verb, Group: q.Group, Resource: q.Resource, Namespace: q.Namespace},
			},
		}
		if err := c.kube.authorization.create(ctx, "subjectaccessreviews", r); err != nil {
			return nil, fmt.Errorf("asking whether %s may %s %s: %w", user, q.Verb, q.Resource, err)
		}
		q.Allowed, q.Reason = r.Status.Allowed, r.Status.Reason
		out[i] = q
	}
	return out, nil
}
