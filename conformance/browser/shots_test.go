package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// TestScreenshots takes pictures of the page: wide and on a phone, light and
// dark, its first screens and a finding that is unfolded. SCREENSHOTS names a
// folder to keep them in, for somebody who changes the page.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	address := write(t, tokens(5000))
	if name := os.Getenv("SCREENSHOTS_OF"); name != "" {
		address = "file://" + name
	}
	for _, size := range []struct{ width, height int }{{1280, 900}, {390, 844}} {
		for _, scheme := range []string{"light", "dark"} {
			b := open(t, size.width, size.height)
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
			b.run(chromedp.Navigate(address))
			for part, script := range map[string]string{
				"1-top":      `scrollTo(0, 0)`,
				"2-timeline": `document.querySelector(".timeline")?.scrollIntoView()`,
				"3-findings": `document.getElementById("findings").scrollIntoView(); document.querySelector("#rows details").open = true`,
				"4-end":      `scrollTo(0, document.body.scrollHeight)`,
			} {
				b.value(script)
				shot := call(b, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{})
				name := fmt.Sprintf("%d-%s-%s.png", size.width, scheme, part)
				if err := os.WriteFile(filepath.Join(dir, name), shot.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
