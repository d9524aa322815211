package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestCounter(t *testing.T) {
	tests := []struct {
		name    string
		noSkips bool
		quiet   bool
		in      string
		want    string // "passed failed skipped", then what is printed
	}{
		{"one of each", false, false, `
{"Action":"run","Package":"m/p","Test":"TestA"}
{"Action":"output","Package":"m/p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"m/p","Test":"TestA","Output":"    a_test.go:1: chatter\n"}
{"Action":"pass","Package":"m/p","Test":"TestA","Elapsed":0.5}
{"Action":"output","Package":"m/p","Test":"TestB","Output":"    b_test.go:1: broken\n"}
{"Action":"fail","Package":"m/p","Test":"TestB","Elapsed":1}
{"Action":"output","Package":"m/p","Test":"TestC","Output":"    c_test.go:1: not root\n"}
{"Action":"skip","Package":"m/p","Test":"TestC"}
{"Action":"output","Package":"m/p","Output":"FAIL\n"}
{"Action":"fail","Package":"m/p"}`, `1 1 1
ok    p.TestA  0.5 s
FAIL  p.TestB  1.0 s
    b_test.go:1: broken
skip  p.TestC
    c_test.go:1: not root
`},
		{"a skip where none may be", true, false, `
{"Action":"output","Package":"m/p","Test":"TestC","Output":"    c_test.go:1: not root\n"}
{"Action":"skip","Package":"m/p","Test":"TestC"}
{"Action":"pass","Package":"m/p"}`, `0 1 0
FAIL  p.TestC  0.0 s
    c_test.go:1: not root
    skipped, and here nothing may be
`},
		{"subtests count, their parent does not", false, false, `
{"Action":"run","Package":"m/p","Test":"TestA"}
{"Action":"run","Package":"m/p","Test":"TestA/one"}
{"Action":"pass","Package":"m/p","Test":"TestA/one","Elapsed":0.1}
{"Action":"run","Package":"m/p","Test":"TestA/two"}
{"Action":"pass","Package":"m/p","Test":"TestA/two","Elapsed":0.1}
{"Action":"pass","Package":"m/p","Test":"TestA"}`, `2 0 0
ok    p.TestA  0.0 s, 2 subtests
`},
		{"a parent that fails by itself", false, false, `
{"Action":"run","Package":"m/p","Test":"TestA"}
{"Action":"run","Package":"m/p","Test":"TestA/one"}
{"Action":"pass","Package":"m/p","Test":"TestA/one","Elapsed":0.1}
{"Action":"fail","Package":"m/p","Test":"TestA"}
{"Action":"fail","Package":"m/p"}`, `1 1 0
FAIL  p.TestA  0.0 s
`},
		{"does not build", false, false, `
{"ImportPath":"m/p","Action":"build-output","Output":"p.go:1: syntax error\n"}
{"ImportPath":"m/p","Action":"build-fail"}
{"Action":"output","Package":"m/p","Output":"FAIL\tm/p [build failed]\n"}
{"Action":"fail","Package":"m/p","FailedBuild":"m/p"}`, `0 1 0
p.go:1: syntax error
FAIL  m/p
`},
		{"what is not logged is printed as it comes", false, false, `
{"Action":"run","Package":"m/p","Test":"TestA"}
{"Action":"output","Package":"m/p","Test":"TestA","Output":"TestA: seed 7\n"}
{"Action":"output","Package":"m/p","Test":"TestA","Output":"    a_test.go:1: chatter\n"}
{"Action":"pass","Package":"m/p","Test":"TestA","Elapsed":0.5}`, `1 0 0
TestA: seed 7
ok    p.TestA  0.5 s
`},
		{"a panic while a test runs", false, false, `
{"Action":"run","Package":"m/p","Test":"TestA"}
{"Action":"output","Package":"m/p","Test":"TestA","Output":"panic: oh\n"}
{"Action":"fail","Package":"m/p"}`, `0 1 0
panic: oh
FAIL  m/p
`},
		{"a line a package, and what went wrong", false, true, `
{"Action":"output","Package":"m/p","Output":"-test.shuffle 7\n"}
{"Action":"run","Package":"m/p","Test":"TestA"}
{"Action":"output","Package":"m/p","Test":"TestA","Output":"    a_test.go:1: chatter\n"}
{"Action":"run","Package":"m/p","Test":"TestA/one"}
{"Action":"pass","Package":"m/p","Test":"TestA/one","Elapsed":0.1}
{"Action":"pass","Package":"m/p","Test":"TestA","Elapsed":0.5}
{"Action":"output","Package":"m/p","Output":"PASS\n"}
{"Action":"output","Package":"m/p","Output":"ok  \tm/p\t0.6s\n"}
{"Action":"pass","Package":"m/p"}
{"Action":"output","Package":"m/q","Output":"-test.shuffle 8\n"}
{"Action":"output","Package":"m/q","Test":"TestB","Output":"    b_test.go:1: broken\n"}
{"Action":"fail","Package":"m/q","Test":"TestB","Elapsed":1}
{"Action":"output","Package":"m/q","Test":"TestC","Output":"    c_test.go:1: not root\n"}
{"Action":"skip","Package":"m/q","Test":"TestC"}
{"Action":"output","Package":"m/q","Output":"FAIL\tm/q\t1.0s\n"}
{"Action":"fail","Package":"m/q"}`, `1 1 1
ok  	m/p	0.6s
FAIL  q.TestB  1.0 s
    b_test.go:1: broken
skip  q.TestC
    c_test.go:1: not root
-test.shuffle 8
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			c := newCounter(&out)
			c.noSkips, c.quiet = tt.noSkips, tt.quiet
			c.read(strings.NewReader(strings.TrimSpace(tt.in)))
			if got := fmt.Sprintf("%d %d %d\n%s", c.passed, c.failed, c.skipped, out.String()); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}
