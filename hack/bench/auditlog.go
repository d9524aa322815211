package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"time"
)

// cluster is a synthetic one that writes an audit log: pods that use their
// tokens in turn, of which every staleEvery-th never read its token again,
// kubelets and people beside them, 200 events a second. Fresh tokens are
// replaced every 48 minutes, audit ids never repeat.
type cluster struct {
	pods, staleEvery int

	events []template
	n      int    // events written
	left   []byte // of the last one
	stamp  []byte
}

var logStart = time.Date(2026, 11, 22, 3, 13, 0, 0, time.UTC)

// logEnd is later than any event.
const logEnd = "2026-11-23T04:13:00Z"

const (
	eventGap = 5 * time.Millisecond
	rotation = 48 * time.Minute
	stampAs  = "2006-01-02T15:04:05.000000Z"
	idMark   = "%%%%%%%%%%%%"                // an audit id's last digits
	jtiMark  = "########"                    // a token id's first digits
	timeMark = "@@@@@@@@@@@@@@@@@@@@@@@@@@@" // a time
	ageMark  = "&&&&&&&"                     // a mark's seconds
)

// template is an event, and where it differs each time.
type template struct {
	text               []byte
	id, jti, age       int
	received, finished int
}

// object is what a request of level Request carries.
var object = fmt.Sprintf(`,"requestObject":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"leader","namespace":"apps","annotations":{"note":"seconds after noon, \"code\":4010"}},"data":{"config":%q}}`,
	bytes.Repeat([]byte("key = \"value\"\n"), 60))

// auditLog reads the log of such a cluster, of about the size: it ends with a
// line.
func auditLog(size int64, pods, staleEvery int) io.Reader {
	c := &cluster{pods: pods, staleEvery: staleEvery}
	for i := range max(pods, 1000) {
		c.events = append(c.events, c.event(i))
	}
	return &lines{c, size}
}

func (c *cluster) event(i int) template {
	pod := i % c.pods
	app := pod / 3 // three pods of each
	ns := app % 50
	user := fmt.Sprintf(`{"username":"system:serviceaccount:ns-%d:app-%d","uid":"0000000a-0000-4000-8000-%012d","groups":["system:serviceaccounts","system:serviceaccounts:ns-%d","system:authenticated"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=%s-0000-4000-8000-%012d"],"authentication.kubernetes.io/node-name":["ip-10-0-%d-17.eu-west-1.compute.internal"],"authentication.kubernetes.io/node-uid":["0000000d-0000-4000-8000-%012d"],"authentication.kubernetes.io/pod-name":["app-%d-6d8f7c9b5-h%sx2"],"authentication.kubernetes.io/pod-uid":["0000000b-0000-4000-8000-%012d"]}}`,
		ns, app, app, ns, jtiMark, pod, pod%20, pod%20, app, letters(pod), pod)
	level, body, agent, verb := "Metadata", "", "app/v1.2.3 (linux/amd64) kubernetes/abcdef0", "list"
	notes := fmt.Sprintf(`"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by RoleBinding \"reader/ns-%d\" of Role \"reader\" to ServiceAccount \"app-%d/ns-%d\""`, ns, app, ns)
	switch {
	case pod%c.staleEvery == 7%c.staleEvery:
		notes = fmt.Sprintf(`"authentication.k8s.io/stale-token":"subject: system:serviceaccount:ns-%d:app-%d, seconds after warning threshold: %s",`, ns, app, ageMark) + notes
	case i%9 == 0:
		user = fmt.Sprintf(`{"username":"system:node:ip-10-0-%d-17.eu-west-1.compute.internal","groups":["system:nodes","system:authenticated"],"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=%064d"]}}`, i%20, i%20)
		notes, agent = `"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""`, "kubelet/v1.35.4 (linux/amd64) kubernetes/0a1b2c3"
	case i%13 == 0:
		level, body, verb = "Request", object, "update"
	}
	text := fmt.Appendf(nil, `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"%s","auditID":"00000000-0000-4000-8000-%s","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/ns-%d/configmaps?limit=500\u0026watch=true","verb":"%s","user":%s,"sourceIPs":["10.0.%d.%d"],"userAgent":"%s","objectRef":{"resource":"configmaps","namespace":"ns-%d","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200}%s,"requestReceivedTimestamp":"%s","stageTimestamp":"%s","annotations":{%s}}`+"\n",
		level, idMark, ns, verb, user, pod%20, pod%250, agent, ns, body, timeMark, timeMark, notes)
	find := func(mark string) int { return bytes.Index(text, []byte(mark)) }
	return template{text, find(idMark), find(jtiMark), find(ageMark), find(timeMark), bytes.LastIndex(text, []byte(timeMark))}
}

// letters are a suffix as a controller gives to a pod's name.
func letters(n int) string {
	const of = "bcdfghjklmnpqrstvwxz"
	return string([]byte{of[n%20], of[n/20%20], of[n/400%20]})
}

// next writes the next event into the cluster's buffer.
func (c *cluster) next() {
	e := &c.events[c.n%len(c.events)]
	at := logStart.Add(time.Duration(c.n) * eventGap)
	c.stamp = at.AppendFormat(c.stamp[:0], stampAs)
	copy(e.text[e.received:], c.stamp)
	copy(e.text[e.finished:], c.stamp)
	number(e.text[e.id:e.id+len(idMark)], c.n)
	token := int(at.Sub(logStart) / rotation)
	if e.age >= 0 {
		token = 0
		issued := logStart.Add(-80*24*time.Hour + time.Duration(c.n%len(c.events))*time.Minute)
		number(e.text[e.age:e.age+len(ageMark)], int(at.Sub(issued).Seconds())-3607)
	}
	if e.jti >= 0 {
		number(e.text[e.jti:e.jti+len(jtiMark)], token)
	}
	c.n++
	c.left = e.text
}

// number writes n into all of b.
func number(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

// lines reads whole lines up to a size.
type lines struct {
	c    *cluster
	left int64
}

func (l *lines) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(l.c.left) == 0 {
			if l.left <= 0 {
				break
			}
			l.c.next()
			l.left -= int64(len(l.c.left))
		}
		k := copy(p[n:], l.c.left)
		l.c.left = l.c.left[k:]
		n += k
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// sizeText writes a size as people do.
func sizeText(n int64) string {
	if n < 1e9 {
		return strconv.FormatInt(n/1e6, 10) + " MB"
	}
	return strconv.FormatFloat(float64(n)/1e9, 'g', 3, 64) + " GB"
}
