package iammap

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// builtin are the groups that Kubernetes itself binds or that EKS gives nodes.
var builtin = []string{
	"system:masters", "system:nodes", "system:bootstrappers", "system:node-proxier",
	"system:authenticated", "system:unauthenticated", "system:serviceaccounts",
	"eks:kube-proxy-windows",
}

// names checks the user name and the groups that an entry gives.
func (l *linter) names(e *Entry) {
	subject := e.label()
	if e.Username == "" && l.src.Format != AccessEntries {
		f := l.note("KC407", subject, "the entry has no username, so the user's name is empty: audit logs show nobody, and aggregated APIs (kubectl top) refuse it", e.Pos,
			"Give it a username.")
		f.Details = nil
	}
	if len(e.Groups) == 0 && len(e.Policies) == 0 {
		f := l.note("KC408", subject, "the entry gives no groups: it can log in, and only bindings that name its user let it do anything", e.Pos,
			"Give it groups, or bind a role to its user name.")
		f.Severity = finding.Info
	}
	for _, template := range append([]string{e.Username}, e.Groups...) {
		l.template(e, template)
	}
	for _, g := range e.Groups {
		l.group(e, g)
	}
	for _, prefix := range l.reserved {
		if prefix != "" && strings.HasPrefix(e.Username, prefix) {
			l.note("KC413", subject, fmt.Sprintf("user name %q begins with %q, which is reserved for other sources, so everybody with this entry is refused", e.Username, prefix), e.Pos,
				"Choose another user name, or take the prefix out of reservedPrefixConfig.")
		}
	}
	if strings.HasPrefix(e.Username, "{{SessionName") {
		f := l.note("KC423", subject, fmt.Sprintf("user name %q is whatever the caller names its session: whoever may assume the role chooses who to be", e.Username), e.Pos,
			`Put a prefix before it ("team:{{SessionName}}").`)
		f.Severity = finding.Warning
	}
}

// template checks the placeholders of a user name or group.
func (l *linter) template(e *Entry, template string) {
	for _, name := range templateNames(template) {
		if slices.Contains(placeholders, name) {
			continue
		}
		message := fmt.Sprintf("placeholder {{%s}} is none that is filled in, so it stays in the name as it is", name)
		fix := "Use one of {{" + strings.Join(placeholders, "}}, {{") + "}}."
		if meant, how := closest(strings.TrimSpace(name), placeholders); meant != "" {
			message = fmt.Sprintf("placeholder {{%s}} is not filled in (%s): it must be {{%s}}", name, how, meant)
			fix = "Write {{" + meant + "}}."
		}
		l.note("KC409", e.label(), message, e.Pos, fix)
	}
	if strings.ContainsAny(template, "<>") {
		l.note("KC409", e.label(), fmt.Sprintf("%q holds angle brackets, as if a placeholder was never filled in", template), e.Pos, "Remove the brackets, or put the real name in their place.")
	}
}

// group finds groups that are almost those of Kubernetes.
func (l *linter) group(e *Entry, group string) {
	if slices.Contains(builtin, group) {
		return
	}
	for _, b := range builtin {
		switch {
		case strings.TrimSpace(group) == b:
			l.note("KC416", e.label(), fmt.Sprintf("group %q has blanks around it and is not %s", group, b), e.Pos, "Remove the blanks.")
		case strings.EqualFold(group, b):
			l.note("KC416", e.label(), fmt.Sprintf("group %q differs from %s by case, and groups are compared with it", group, b), e.Pos, "Write "+b+".")
		case near(group, b):
			l.note("KC416", e.label(), fmt.Sprintf("group %q looks like a spelling error for %s", group, b), e.Pos, "Write "+b+".")
		}
	}
	if group == "cluster-admin" {
		l.note("KC416", e.label(), `group "cluster-admin" is none that Kubernetes binds: cluster-admin is a ClusterRole`, e.Pos,
			"Bind the ClusterRole to a group of your own, or write system:masters.")
	}
}

// node checks entries that are meant for nodes.
func (l *linter) node(e *Entry) {
	nodes := slices.Contains(e.Groups, "system:nodes")
	named := strings.HasPrefix(e.Username, "system:node:")
	subject := e.label()
	switch {
	case l.src.Format == AccessEntries && e.Type == "STANDARD" && (nodes || named || looksLikeNode(e.ARN)):
		f := l.note("KC411", subject, "an access entry of type STANDARD for nodes: EKS gives it no node rights, so the nodes do not join", e.Pos,
			"Delete the entry and create it with type EC2_LINUX (EC2_WINDOWS, FARGATE_LINUX, HYBRID_LINUX, or EC2 for Auto Mode).")
		if !nodes && !named {
			f.Severity = finding.Warning
			f.Message = "an access entry of type STANDARD, and the role's name looks like that of nodes: if nodes use it, they do not join"
		}
	case l.src.Format == AccessEntries:
	case nodes && !named:
		l.note("KC411", subject, fmt.Sprintf("group system:nodes with user name %q: the Node authorizer knows nodes by system:node:NAME, so the nodes are refused", e.Username), e.Pos,
			"Write username: system:node:{{EC2PrivateDNSName}} (Fargate: system:node:{{SessionName}}).")
	case named && !nodes:
		l.note("KC411", subject, "user name system:node:... without group system:nodes: the Node authorizer refuses the nodes", e.Pos,
			"Add the groups system:bootstrappers and system:nodes.")
	case named && strings.Contains(e.Username, "{{SessionName}}") && !slices.Contains(e.Groups, "system:node-proxier"):
		f := l.note("KC411", subject, "user name system:node:{{SessionName}}: for EC2 the session is the instance id, not the node's name (Fargate has system:node-proxier beside it)", e.Pos,
			"Write username: system:node:{{EC2PrivateDNSName}} for EC2 nodes.")
		f.Severity = finding.Warning
	}
	if nodes && slices.Contains(e.Groups, "system:masters") {
		l.note("KC412", subject, "the nodes' entry has group system:masters: every pod that reaches the instance's credentials is an administrator", e.Pos,
			"Remove system:masters and give people a role of their own.")
	}
}

func looksLikeNode(arn string) bool {
	a, err := ParseARN(arn)
	if err != nil || a.kindOf() != string(Role) {
		return false
	}
	name := strings.ToLower(a.name())
	for _, word := range []string{"nodegroup", "nodeinstancerole", "node-instance-role", "noderole", "node-role", "eks-node", "worker"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// danger finds entries that give everything to many.
func (l *linter) danger(e *Entry) {
	if !slices.Contains(e.Groups, "system:masters") {
		return
	}
	const fix = "Bind a ClusterRole to a group instead: system:masters can not be taken back by RBAC."
	switch a, err := ParseARN(e.ARN); {
	case err != nil:
	case a.Resource == string(Root):
		l.note("KC412", e.label(), "system:masters for the account's root: the entry takes the root user alone, not the whole account, and the root user should need no cluster", e.Pos, "Map a role.")
	case e.Kind == ByPattern && strings.Trim(a.name(), "*?") == "":
		l.note("KC412", e.label(), "system:masters for every role of account "+a.Account, e.Pos, fix).Severity = finding.Error
	case e.Kind == ByPattern:
		l.note("KC412", e.label(), "system:masters for every role whose name fits the pattern", e.Pos, fix)
	}
	if strings.HasPrefix(e.Username, "{{SessionName") {
		l.note("KC412", e.label(), "system:masters with a user name that the caller chooses: the audit log does not say who it was", e.Pos,
			`Put a prefix before it ("admin:{{SessionName}}").`)
	}
}
