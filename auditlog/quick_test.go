package auditlog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// realLines are the lines of a real API server's log.
func realLines(t testing.TB) [][]byte {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "examples", "audit-kube-apiserver-1.35.4.log.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for sc := bufio.NewScanner(z); sc.Scan(); {
		out = append(out, bytes.Clone(sc.Bytes()))
	}
	return out
}

// agree holds the quick way against the general one, and tells whether the quick
// one took the line.
func agree(t *testing.T, fast *decoder, line []byte) (took bool) {
	t.Helper()
	d := &decoder{strict: true}
	err := d.line(line)
	for range 4 { // the second time its sender is known, in the end all of it
		var ev Event
		if ev, took = take(fast, line); !took || err != nil {
			continue // damaged where quick does not look
		}
		if len(d.events) != 1 {
			t.Errorf("quick takes what the general walk does not (%d events): %s", len(d.events), line)
			continue
		}
		if got, want := asText(ev), asText(d.events[0]); got != want {
			t.Errorf("quick: %s, want %s: %s", got, want, line)
		}
	}
	return took
}

// take reads a line the fast way.
func take(d *decoder, line []byte) (ev Event, took bool) {
	d.reset()
	if took = d.fast(line, d.parts(line), nil); took {
		ev = d.events[0]
	}
	return ev, took
}

func asText(e Event) string {
	v := reflect.ValueOf(e)
	s := e.Time.String()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Slice { // not the sender: it holds nothing else
			s += "|" + string(f.Bytes())
		}
	}
	return s + string(rune('0'+e.Code%10))
}

// TestQuickIsRight: on a real log the quick way says what the general one says,
// and it is the way that all lines take but those with an escape in a name.
func TestQuickIsRight(t *testing.T) {
	lines, took := realLines(t), 0
	d := &decoder{known: newSenders()}
	for _, line := range lines {
		if agree(t, d, line) {
			took++
		}
	}
	if took < len(lines)*99/100 {
		t.Errorf("only %d of %d lines are read the quick way", took, len(lines))
	}
}

// odd are events as an API server, or something between it and the file, may
// write them once in a while.
func odd() map[string]string {
	const usual = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"5668ce08-6c3c-4091-8fcb-abdb7ae652e2","stage":"ResponseComplete","requestURI":"/api/v1/pods","verb":"list","user":{"username":"system:serviceaccount:apps:web","uid":"529808a5-df76-4f2b-b0d3-471e621bf94e","groups":["system:serviceaccounts"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=9a60ceba-7837-40e1-a4eb-72aac064f33c"],"authentication.kubernetes.io/pod-name":["web-0"]}},"sourceIPs":["10.0.7.7","127.0.0.1"],"userAgent":"web/v1","objectRef":{"resource":"pods","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-22T04:11:41.133602Z","stageTimestamp":"2026-11-22T04:11:41.135008Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by \"x\""}}`
	const mark = `"authentication.k8s.io/stale-token":"subject: system:serviceaccount:apps:web, seconds after warning threshold: 12"`
	change := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(usual) }
	return map[string]string{
		"usual":                        usual,
		"mark last":                    change(`"}}`, `",`+mark+`}}`),
		"mark first":                   change(`"annotations":{`, `"annotations":{`+mark+`,`),
		"mark between":                 change(`,"authorization.k8s.io/reason"`, `,`+mark+`,"authorization.k8s.io/reason"`),
		"mark twice":                   change(`"annotations":{`, `"annotations":{`+mark+`,`, `"}}`, `",`+strings.Replace(mark, "12", "13", 1)+`}}`),
		"mark's key with an escape":    change(`"annotations":{`, `"annotations":{`+strings.Replace(mark, "k8s.io/", `k8s.io\/`, 1)+`,`),
		"mark in a reason":             change(`RBAC: allowed by`, strings.ReplaceAll(mark, `"`, `\"`)),
		"mark in a value":              change(`"annotations":{`, `"annotations":{"a":{`+mark+`},`),
		"issued":                       change(`"annotations":{`, `"annotations":{"authentication.kubernetes.io/issued-credential-id":"JTI=x",`),
		"mark and request's object":    change(`,"requestReceived`, `,"requestObject":{"a":1},"requestReceived`, `"annotations":{`, `"annotations":{`+mark+`,`),
		"request's object":             change(`,"requestReceived`, `,"requestObject":{"annotations":{`+mark+`},"requestReceivedTimestamp":"2020-01-01T00:00:00Z"},"responseObject":{"code":401},"requestReceived`),
		"request's object with a list": change(`,"requestReceived`, `,"requestObject":[{"requestReceivedTimestamp":"2020-01-01T00:00:00.000000Z","stageTimestamp":"2020-01-01T00:00:00.000000Z","annotations":{`+mark+`}}],"requestReceived`),
		"request's object is an event": change(`,"requestReceived`, `,"requestObject":`+usual+`,"requestReceived`),
		"object's name with a bracket": change(`"resource":"pods"`, `"resource":"pods","name":"a}b{"`),
		"object's key with a bracket":  change(`{"resource":"pods","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200}`, `{"},"responseStatus":{\"code":001}`),
		"object with an object":        change(`"resource":"pods"`, `"resource":{"a":{}}`),
		"failed":                       change(`"metadata":{},"code":200`, `"metadata":{},"status":"Failure","message":"\"code\":401}","reason":"x","details":{"name":"a","causes":[{"code":401}]},"code":404`),
		"failed, code first":           change(`"metadata":{},"code":200`, `"code":404,"metadata":{"code":401}`),
		"code in metadata":             change(`"metadata":{},"code":200`, `"metadata":{"code":401}`),
		"code of four digits":          change(`"code":200`, `"code":2000`),
		"code as a text":               change(`"code":200`, `"code":"200"`),
		"refused":                      change(`"code":200`, `"code":401`),
		"no status":                    change(`"responseStatus":{"metadata":{},"code":200},`, ``),
		"no addresses":                 change(`"sourceIPs":["10.0.7.7","127.0.0.1"],`, ``),
		"no agent":                     change(`,"userAgent":"web/v1"`, ``),
		"an address":                   change(`,"127.0.0.1"`, ``),
		"empty addresses":              change(`["10.0.7.7","127.0.0.1"]`, `[]`),
		"agent with a quote":           change(`web/v1`, `web\"/v1`),
		"no annotations":               change(`,"annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by \"x\""}`, ``),
		"empty annotations":            change(`{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by \"x\""}`, `{}`),
		"impersonated":                 change(`,"sourceIPs"`, `,"impersonatedUser":{"username":"system:serviceaccount:x:y"},"sourceIPs"`),
		"user twice":                   change(`,"sourceIPs"`, `,"user":{"username":"b"},"sourceIPs"`),
		"username twice":               change(`"groups"`, `"username":"b","groups"`),
		"extra's key with an escape":   change(`io/pod-name`, `io\/pod-name`),
		"extra twice":                  change(`["web-0"]`, `["web-0"],"authentication.kubernetes.io/pod-name":["web-1"]`),
		"extra with two values":        change(`["web-0"]`, `["web-0","web-1"]`),
		"extra of others":              change(`"authentication.kubernetes.io/credential-id"`, `"example.com/a":["b","c"],"authentication.kubernetes.io/credential-id"`),
		"extra, empty":                 change(`["web-0"]`, `[]`),
		"anonymous":                    change(`"username":"system:serviceaccount:apps:web","uid":"529808a5-df76-4f2b-b0d3-471e621bf94e","groups":["system:serviceaccounts"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=9a60ceba-7837-40e1-a4eb-72aac064f33c"],"authentication.kubernetes.io/pod-name":["web-0"]}`, ``),
		"user of spaces":               change(`system:serviceaccount:apps:web`, `Jörg Müller 中文`),
		"other stage":                  change(`ResponseComplete`, `Panic`),
		"another level":                change(`"Metadata"`, `"RequestResponse"`),
		"short id":                     change(`5668ce08-6c3c-4091-8fcb-abdb7ae652e2`, `x`),
		"no id":                        change(`5668ce08-6c3c-4091-8fcb-abdb7ae652e2`, ``),
		"nanoseconds":                  change(`133602Z`, `133602123Z`),
		"another zone":                 change(`41.133602Z`, `41.133602+02:00`),
		"no such second":               change(`41.133602Z`, `61.133602Z`),
		"whole seconds":                change(`41.133602Z`, `41Z`),
	}
}

// TestOddEvents: whatever an event looks like, it is read as the walk reads it.
func TestOddEvents(t *testing.T) {
	d := &decoder{known: newSenders()}
	for name, line := range odd() {
		took := agree(t, d, []byte(line))
		if name == "usual" && !took {
			t.Error("the usual event is not taken the quick way")
		}
		for end := range len(line) {
			var ev Event
			if d.quick([]byte(line[:end]), &ev) {
				t.Errorf("%s: takes what is cut at %d", name, end)
			}
		}
	}
}

// TestAgain: an event that was read before but for its id and its times is read
// right, and one that differs in any byte is read as if it came first.
func TestAgain(t *testing.T) {
	for _, name := range []string{"usual", "another level", "request's object"} {
		testAgain(t, strings.Replace(odd()[name], `allowed by`, `allowed by `+strings.Repeat("x", 150), 1))
	}
}

func testAgain(t *testing.T, usual string) {
	d := &decoder{known: newSenders()}
	for i := range 8 {
		line := strings.Replace(usual, "5668ce08", fmt.Sprintf("%08d", i), 1)
		line = strings.ReplaceAll(line, "04:11:41", fmt.Sprintf("04:%02d:59", i))
		if !agree(t, d, []byte(line)) {
			t.Fatal("not taken:", line)
		}
	}
	p := d.parts([]byte(usual))
	if k := d.pair(p).find(p); k == nil {
		t.Fatal("the usual event is not kept")
	} else if _, ok := d.same([]byte(usual), k, p); !ok {
		t.Fatal("the usual event is not known again")
	}
	for i := range usual {
		for _, c := range []byte{'"', '\\', '}', '9', 'Z', '\n', 0xff} {
			line := []byte(usual)
			if line[i] == c {
				continue
			}
			line[i] = c
			fresh := &decoder{known: newSenders()}
			var want Event
			got, took := take(d, line)
			first := fresh.quick(line, &want)
			if took != first || took && asText(got) != asText(want) {
				t.Fatalf("byte %d is %q: %v %s, want %v %s", i, c, took, asText(got), first, asText(want))
			}
			if d.pair(p).find(p) == nil { // lost its place
				agree(t, d, []byte(usual))
			}
		}
	}
}

// TestHabit: a log in which nothing comes again is soon not searched for that, and
// is again where things do.
func TestHabit(t *testing.T) {
	d := &decoder{known: newSenders()}
	usual := strings.Replace(odd()["usual"], `allowed by`, `allowed by `+strings.Repeat("x", 150), 1)
	for i := range 2 * agains {
		line := []byte(strings.Replace(usual, "/api/v1/pods", fmt.Sprintf("/api/v1/%d", i), 1))
		if _, took := take(d, line); !took {
			t.Fatal("not taken")
		}
	}
	if d.habit.pause == 0 {
		t.Error("looks on in vain")
	}
	for range 8 * agains {
		take(d, []byte(usual))
	}
	if d.habit.pause != 0 || d.habit.wait != 0 {
		t.Errorf("does not look again: %+v", d.habit)
	}
}

// TestAgainMany: with many more events than the nearest cache holds most are known
// again, and all are read right, also where lines end differently.
func TestAgainMany(t *testing.T) {
	const many = agains / 3
	usual := strings.Replace(odd()["usual"], `allowed by`, `allowed by `+strings.Repeat("x", 150), 1)
	var text []byte
	for i := range many {
		line := strings.Replace(usual, "/api/v1/pods", fmt.Sprintf("/api/v1/%d", i), 1)
		line = strings.Replace(line, `"list"`, fmt.Sprintf(`"list%d"`, i), 1)
		text = append(text, strings.Replace(line, `"web/v1"`, fmt.Sprintf(`"web/v%d"`, i%7), 1)+[]string{"\n", "\r\n", " \n"}[i%3]...)
	}
	d, strict := &decoder{known: newSenders()}, &decoder{strict: true}
	for round := range 4 {
		before := d.habit.hits
		for from := 0; from < len(text); {
			for _, p := range d.look(text, from) {
				d.reset()
				strict.reset()
				line := text[from:p.end]
				if err := errors.Join(d.whole(line, p), strict.line(line)); err != nil || asText(d.events[0]) != asText(strict.events[0]) {
					t.Fatalf("round %d, %s: %v", round, line, err)
				}
				from = p.end + 1
			}
		}
		if known := d.habit.hits - before; round == 2 && known < many*3/4 {
			t.Errorf("only %d of %d are known again", known, many)
		}
	}
}

// TestClock: a time is read the same whatever was read before, and nothing else is.
func TestClock(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var k clock
		for range rapid.IntRange(1, 20).Draw(rt, "times") {
			text := []byte(rapid.SampledFrom([]string{"2026-11-22T04:11:41.133602Z", "2026-11-22T04:11:41.1+02:00", "2026-11-22T04:11:09.999999Z", "2026-11-22T04:11:41Z"}).Draw(rt, "time"))
			for range rapid.IntRange(0, 2).Draw(rt, "changes") {
				text[rapid.IntRange(0, len(text)-1).Draw(rt, "at")] = rapid.SampledFrom([]byte("0123456789Z.:/-+T?\x00\xff")).Draw(rt, "byte")
			}
			got, ok := k.nanos(text)
			if want, wantOK := parseTime(text); ok != wantOK || ok && got != want.UnixNano() {
				rt.Fatalf("%q: %d %v, want %d %v", text, got, ok, want.UnixNano(), wantOK)
			}
		}
	})
}

// TestSenders: of more senders than there is room for, each is read right.
func TestSenders(t *testing.T) {
	line := odd()["usual"]
	d := &decoder{known: newSenders()}
	for i := range 3 * senderSlots {
		id := fmt.Sprintf("%08x-7837-40e1-a4eb-72aac064f33c", i%(2*senderSlots))
		var ev Event
		if !d.quick([]byte(strings.Replace(line, "9a60ceba-7837-40e1-a4eb-72aac064f33c", id, 1)), &ev) || string(ev.CredentialID) != "JTI="+id {
			t.Fatalf("%d: %s, want %s", i, ev.CredentialID, id)
		}
	}
	if held := d.known.held.Load(); held > maxSenders || held <= 0 {
		t.Errorf("holds %d bytes", held)
	}
}

// FuzzQuick: whatever the quick way takes, the general walk reads the same.
func FuzzQuick(f *testing.F) {
	for i, line := range realLines(f) {
		if i%50 == 0 {
			f.Add(line)
		}
	}
	for _, line := range odd() {
		f.Add([]byte(line))
	}
	d := &decoder{known: newSenders()}
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.IndexByte(line, '\n') >= 0 || !bytes.Equal(trim(line), line) {
			return
		}
		agree(t, d, line)
	})
}

// TestNextHit: each of the texts is found wherever it stands, as often as it
// stands there, and nothing else is.
func TestNextHit(t *testing.T) {
	for _, text := range hitTexts {
		hit := text.text
		if len(hit) < hitStep+gramSize-1 || hitStep >= 32 {
			t.Errorf("%q is %d bytes long", hit, len(hit))
		}
		for n := range 220 {
			text := bytes.Repeat([]byte(`seconds after warnin hold","user":{},"source:"system:anon","gr`), 8)[:n]
			if at := nextHit(text, 0); at != -1 {
				t.Fatalf("found at %d in %q", at, text)
			}
			for at := 0; at+len(hit) <= n; at++ {
				with := bytes.Clone(text)
				copy(with[at:], hit)
				for from := range n + 1 {
					want := -1
					if at >= from {
						want = at
					}
					if got := nextHit(with, from); got != want {
						t.Fatalf("%q from %d: found at %d, want %d", with, from, got, want)
					}
				}
				if at%7 != 0 {
					at += 5
				}
			}
		}
	}
}
