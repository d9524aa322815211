package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/kubecred/kubecred/conformance/wait"
)

// tab is a page in a real browser, which is watched for errors and requests.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	trouble  []string
	expected []string
}

// open starts a browser with a window of that size. The test fails at its end if
// the console had an error, if anything was asked of a network, or if a dialog
// was opened.
func open(t *testing.T, width, height int) *tab {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("no Chromium is installed: make e2e-deps")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(program), chromedp.WindowSize(width, height), chromedp.Flag("hide-scrollbars", true), chromedp.UserDataDir(t.TempDir()),
		chromedp.Env("TMPDIR="+t.TempDir())) // where it leaves a folder when it is ended
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses its sandbox to root
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	b.run(chromedp.EmulateViewport(int64(width), int64(height)))
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx)
		closeTab()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, what := range b.trouble {
			if !slices.ContainsFunc(b.expected, func(e string) bool { return strings.Contains(what, e) }) {
				t.Error(what)
			}
		}
	})
	return b
}

func (b *tab) watch(event any) {
	what := ""
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "file://") {
			what = "a request to " + e.Request.URL
		}
	case *runtime.EventExceptionThrown:
		what = "an exception: " + e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			what = fmt.Sprintf("the console: %s", e.Args[0].Value)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			what = "the log: " + e.Entry.Text
		}
	case *page.EventJavascriptDialogOpening:
		what = "a dialog: " + e.Message
	}
	if what != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.trouble = append(b.trouble, what)
	}
}

// expect allows trouble that names one of the words.
func (b *tab) expect(words ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, words...)
}

type action = chromedp.Action[chromedp.Void]

func (b *tab) run(actions ...action) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// call sends one command of the DevTools protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	res, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// value runs a script and returns what it comes to.
func (b *tab) value(script string) any {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[any](script))
	if err != nil && !errors.Is(err, chromedp.ErrJSUndefined) {
		b.t.Fatalf("%s\n%v", script, err)
	}
	return got
}

// want holds the value of a script against one.
func (b *tab) want(script string, want any) {
	b.t.Helper()
	if got := b.value(script); got != want {
		b.t.Errorf("%s\nis %v, want %v", script, got, want)
	}
}

// until waits for a script to have a value.
func (b *tab) until(script string, want any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	var got any
	if err := wait.Until(ctx, 50*time.Millisecond, func() bool { got = b.value(script); return got == want }); err != nil {
		b.t.Fatalf("%s\nis %v, want %v", script, got, want)
	}
}

// roles counts the roles of the accessibility tree.
func (b *tab) roles() map[string]int {
	b.t.Helper()
	count := map[string]int{}
	for _, n := range call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if !n.Ignored && n.Role != nil {
			count[strings.Trim(string(n.Role.Value), `"`)]++
		}
	}
	return count
}

func (b *tab) csp() string {
	b.t.Helper()
	return fmt.Sprint(b.value(`document.querySelector("meta[http-equiv=Content-Security-Policy]").content`))
}
