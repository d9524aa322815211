// Package kubeconfig reads kubeconfigs as Kubernetes' clients do, says what is
// wrong with them and where, and edits them without touching any other byte.
//
// Three ideas carry it:
//
//   - Reading. A client decodes a kubeconfig as YAML 1.1 into JSON types, with
//     names compared letter by letter (k8s.io/apimachinery's yaml serializer). So
//     an unquoted n is a boolean, of two equal keys the last one counts, and a
//     second document is never read. [Parse] keeps those rules, and with each
//     value the place at which it stands in the file.
//   - Judging. [Check] takes several files, in the order in which a client merges
//     them, and returns findings. It looks at nothing but the files and the
//     [Env] it is given.
//   - Editing. An edit is a list of splices: byte ranges and what goes there.
//     Before one is handed out, the edited text is read again and must hold
//     exactly the old values with the intended change; otherwise the edit is
//     refused. [Open] then takes kubectl's own lock and replaces the file
//     atomically.
//
// Nothing here prints, and no finding, error or diff holds a secret of the file.
package kubeconfig
