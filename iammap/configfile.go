package iammap

import (
	"fmt"
	"strings"

	"github.com/kubecred/kubecred/finding"
	"go.yaml.in/yaml/v3"
)

// configFile reads the config file of aws-iam-authenticator's server. viper
// reads it there, so the case of keys does not matter.
func (f *file) configFile(d document) {
	r := f.reader(ConfigFile, d.at)
	server := getFold(d.node, "server")
	for _, p := range pairs(d.node) {
		if meant, _ := closest(p.key.Value, sections); meant != "" {
			q := r.src.fault("KC403", "config file", fmt.Sprintf("%s stands beside server, where it is not read", p.key.Value), r.pos(p.key))
			q.Fix.Summary = "Move it below server."
		}
	}
	if isNull(server) {
		return
	}
	if strict := getFold(server, "dynamicfileUserIDStrict"); strict != nil && strict.Value == "true" {
		r.src.UserIDStrict = true
	}
	r.reserved(getFold(server, "reservedPrefixConfig"))
	f.mappingLists(d.with(server), r)
}

// mappingLists reads mapRoles, mapUsers and mapAccounts that are lists.
func (f *file) mappingLists(d document, r *reader) {
	for _, p := range pairs(d.node) {
		switch strings.ToLower(p.key.Value) {
		case "maproles":
			r.list("mapRoles", p.value)
		case "mapusers":
			r.list("mapUsers", p.value)
		case "mapaccounts":
			r.accounts(p.value)
		}
	}
}

// dynamicFile reads the JSON file that the DynamicFile back end watches.
func (f *file) dynamicFile(d document) {
	f.mappingLists(d, f.reader(DynamicFile, d.at))
}

// accounts reads mapAccounts.
func (r *reader) accounts(node *yaml.Node) {
	if isNull(node) {
		return
	}
	if node.Kind != yaml.SequenceNode {
		r.notAList("mapAccounts", node)
		return
	}
	for i, item := range node.Content {
		item = follow(item)
		subject := fmt.Sprintf("mapAccounts, entry %d", i+1)
		if isNull(item) {
			continue
		}
		if item.Kind != yaml.ScalarNode {
			q := r.src.fault("KC420", subject, describe(item)+" where an account id belongs", r.pos(item))
			q.Fix.Summary = "Write the twelve digits, in quotes."
			continue
		}
		account := item.Value
		if !isAccount(account) {
			q := r.src.fault("KC420", subject, fmt.Sprintf("%q is no AWS account, which has twelve digits, and matches nobody", account), r.pos(item))
			q.Fix.Summary = "Write the twelve digits, in quotes."
			r.src.dead(account, "account: not twelve digits", r.pos(item))
			continue
		}
		if strings.HasPrefix(account, "0") && item.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 && r.weak {
			q := r.src.fault("KC420", subject, fmt.Sprintf("account %s begins with a zero and is not quoted: as a number it loses the zero", account), r.pos(item))
			q.Severity = finding.Warning
			q.Fix.Summary = fmt.Sprintf("Put it in quotes: %q.", account)
		}
		r.src.Entries = append(r.src.Entries, Entry{
			Kind: ByAccount, ARN: account, Key: account, Section: "mapAccounts", Pos: r.pos(item), ARNPos: r.pos(item),
		})
	}
}

// reserved reads reservedPrefixConfig, which names prefixes for each back end.
func (r *reader) reserved(node *yaml.Node) {
	if isNull(node) || node.Kind != yaml.SequenceNode {
		return
	}
	for _, item := range node.Content {
		mode := getFold(item, "backendMode")
		prefixes := getFold(item, "usernamePrefixReserveList")
		if isNull(mode) || isNull(prefixes) {
			continue
		}
		format, ok := backends[strings.ToLower(mode.Value)]
		if !ok {
			q := r.src.fault("KC413", "reservedPrefixConfig", fmt.Sprintf("back end %q is none of MountedFile, EKSConfigMap, CRD, DynamicFile, so its prefixes protect nothing", mode.Value), r.pos(mode))
			q.Fix.Summary = "Name one of MountedFile, EKSConfigMap, CRD, DynamicFile."
			continue
		}
		for _, p := range r.groups("reservedPrefixConfig", prefixes) {
			if p != "" {
				r.src.Reserved[format] = append(r.src.Reserved[format], p)
			}
		}
	}
}
