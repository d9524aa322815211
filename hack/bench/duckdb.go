package main

// marksQuery counts the marked events of each account.
const marksQuery = `
select "user".username, count(*)
from read_json('%s', format = 'newline_delimited', columns = {
  "user": 'STRUCT(username VARCHAR)',
  annotations: 'STRUCT("authentication.k8s.io/stale-token" VARCHAR)'})
where annotations."authentication.k8s.io/stale-token" is not null
group by 1`

// usesQuery asks what the verdicts rest on: for each token of an account, by its
// credential id and its pod, and for each client that was answered 401, when it was
// used first and last, from where, how often, how often with a mark, and when it was
// issued by the earliest of these. A second token of the same pod and a stale one can
// be told apart by that. Requests are counted by their ids, which stand at each stage,
// in the way that is quick in DuckDB, an estimate.
const usesQuery = `
select
  "user".username account,
  "user".extra."authentication.kubernetes.io/pod-name"[1] pod,
  "user".extra."authentication.kubernetes.io/pod-uid"[1] pod_uid,
  "user".extra."authentication.kubernetes.io/credential-id"[1] credential,
  "userAgent" agent, "sourceIPs"[1] address, "responseStatus".code = 401 refused,
  min("requestReceivedTimestamp") first_used, max("requestReceivedTimestamp") last_used,
  approx_count_distinct("auditID") requests,
  count(annotations."authentication.k8s.io/stale-token") marks,
  min(epoch("requestReceivedTimestamp")::BIGINT -
    try_cast(split_part(annotations."authentication.k8s.io/stale-token", 'threshold: ', 2) as BIGINT)) - 3607 issued
from read_json('%s', format = 'newline_delimited', columns = {
  "auditID": 'VARCHAR',
  "user": 'STRUCT(username VARCHAR, extra STRUCT("authentication.kubernetes.io/credential-id" VARCHAR[], "authentication.kubernetes.io/pod-name" VARCHAR[], "authentication.kubernetes.io/pod-uid" VARCHAR[]))',
  "sourceIPs": 'VARCHAR[]',
  "userAgent": 'VARCHAR',
  "responseStatus": 'STRUCT(code INTEGER)',
  "requestReceivedTimestamp": 'TIMESTAMP',
  annotations: 'STRUCT("authentication.k8s.io/stale-token" VARCHAR)'})
where "user".username like 'system:serviceaccount:%%' or "responseStatus".code = 401
group by all`
