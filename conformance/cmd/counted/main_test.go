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
		in      string
		want    string // "passed failed skipped", then what is printed
	}{
		{"one of each", false, `
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
		{"a skip where none may be", true, `
{"Action":"output","Package":"m/p","Test":"TestC","Output":"    c_test.go:1: not root\n"}
{"Action":"skip","Package":"m/p","Test":"TestC"}
{"Action":"pass","Package":"m/p"}`, `0 1 0
FAIL  p.TestC  0.0 s
    c_test.go:1: not root
    skipped, and here nothing may be
`},
		{"subtests count, their parent does not", false, `
{"Action":"run","Package":"m/p","Test":"TestA"}
{"Action":"run","Package":"m/p","Test":"TestA/one"}
{"Action":"pass","Package":"m/p","Test":"TestA/one","Elapsed":0.1}
{"Action":"run","Package":"m/p","Test":"TestA/two"}
{"Action":"pass","Package":"m/p","Test":"TestA/two","Elapsed":0.1}
{"Action":"pass","Package":"m/p","Test":"TestA"}`, `2 0 0
ok    p.TestA  0.0 s, 2 subtests
`},
		{"a parent that fails by itself", false, `
{"Action":"run","Package":"m/p","Test":"TestA"}
{"Action":"run","Package":"m/p","Test":"TestA/one"}
{"Action":"pass","Package":"m/p","Test":"TestA/one","Elapsed":0.1}
{"Action":"fail","Package":"m/p","Test":"TestA"}
{"Action":"fail","Package":"m/p"}`, `1 1 0
FAIL  p.TestA  0.0 s
`},
		{"does not build", false, `
{"ImportPath":"m/p","Action":"build-output","Output":"p.go:1: syntax error\n"}
{"ImportPath":"m/p","Action":"build-fail"}
{"Action":"output","Package":"m/p","Output":"FAIL\tm/p [build failed]\n"}
{"Action":"fail","Package":"m/p","FailedBuild":"m/p"}`, `0 1 0
p.go:1: syntax error
FAIL  m/p
`},
		{"what is not logged is printed as it comes", false, `
{"Action":"run","Package":"m/p","Test":"TestA"}
{"Action":"output","Package":"m/p","Test":"TestA","Output":"TestA: seed 7\n"}
{"Action":"output","Package":"m/p","Test":"TestA","Output":"    a_test.go:1: chatter\n"}
{"Action":"pass","Package":"m/p","Test":"TestA","Elapsed":0.5}`, `1 0 0
TestA: seed 7
ok    p.TestA  0.5 s
`},
		{"a panic while a test runs", false, `
{"Action":"run","Package":"m/p","Test":"TestA"}
{"Action":"output","Package":"m/p","Test":"TestA","Output":"panic: oh\n"}
{"Action":"fail","Package":"m/p"}`, `0 1 0
panic: oh
FAIL  m/p
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			c := newCounter(&out, tt.noSkips)
			c.read(strings.NewReader(strings.TrimSpace(tt.in)))
			if got := fmt.Sprintf("%d %d %d\n%s", c.passed, c.failed, c.skipped, out.String()); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}
