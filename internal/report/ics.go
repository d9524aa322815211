package report

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/lazyexp"
)

// ics is a calendar (RFC 5545): an event for each thing that breaks on a day to
// come, so long before that day that there is time to act.
type ics struct{ w io.Writer }

// lead is how long before its day a finding is put into the calendar.
const lead = 7 * 24 * time.Hour

func (c ics) Handle(r finding.Report) error {
	var b bytes.Buffer
	for _, line := range []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//kubecred//kubecred//EN", "CALSCALE:GREGORIAN", "X-WR-CALNAME:kubecred"} {
		fold(&b, line)
	}
	for _, f := range unread(r) {
		fold(&b, "X-WR-CALDESC:"+escapeICS("incomplete: "+f.Subject+": "+f.Message))
		break // a calendar has one description
	}
	for _, f := range soonest(r) {
		c.event(&b, r.At, f)
	}
	fold(&b, "END:VCALENDAR")
	_, err := c.w.Write(b.Bytes())
	return err
}

// podCount ends the subject of a workload's finding.
var podCount = lazyexp.New(`, \d+ pods?$`)

// what is the thing that breaks, by a name that stays the same from run to run: a
// workload, whatever is found of it and however many pods it has. On the other
// roads each finding is a matter of its own.
func what(f finding.Finding) string {
	if f.Road == finding.Pod {
		return podCount().ReplaceAllString(f.Subject, "")
	}
	return f.Code + "\x00" + f.Subject
}

// soonest returns the findings that break on a day to come, of each thing the one
// that does so first.
func soonest(r finding.Report) []finding.Finding {
	var out []finding.Finding
	at := map[string]int{}
	for _, f := range r.Findings {
		if !f.Due.After(r.At) {
			continue
		}
		i, known := at[what(f)]
		switch {
		case !known:
			at[what(f)] = len(out)
			out = append(out, f)
		case f.Due.Before(out[i].Due):
			out[i] = f
		}
	}
	return out
}

func (c ics) event(b *bytes.Buffer, at time.Time, f finding.Finding) {
	const stamp = "20060102T150405Z"
	start := f.Due.Add(-lead)
	if start.Before(at) {
		start = at
	}
	start = start.UTC().Truncate(time.Second)
	text := []string{f.Message}
	text = append(text, f.Details...)
	for _, way := range []struct {
		label string
		fix   *finding.Fix
	}{{"buys time: ", f.Stopgap}, {"mends it: ", &f.Fix}} {
		if way.fix == nil {
			continue
		}
		for _, s := range []string{way.fix.Command, way.fix.Summary} {
			if s != "" {
				text = append(text, way.label+s)
			}
		}
	}
	// The same thing has the same id in the next run, so that a calendar moves
	// its event instead of adding another.
	id := sha256.Sum256([]byte(what(f)))
	breaks := " breaks on "
	if f.Severity == finding.Info {
		breaks = " may break on " // a worst case
	}
	for _, line := range []string{
		"BEGIN:VEVENT",
		fmt.Sprintf("UID:%x@kubecred", id[:12]),
		"DTSTAMP:" + at.UTC().Format(stamp),
		"DTSTART:" + start.Format(stamp),
		"DTEND:" + start.Add(30*time.Minute).Format(stamp),
		"SUMMARY:" + escapeICS(f.Subject+breaks+finding.Moment(f.Due)),
		"DESCRIPTION:" + escapeICS(strings.Join(text, "\n")),
		"CATEGORIES:" + escapeICS(f.Code),
		"TRANSP:TRANSPARENT",
		"BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:PT0S", "DESCRIPTION:" + escapeICS(f.Subject+" breaks soon"), "END:VALARM",
		"END:VEVENT",
	} {
		fold(b, line)
	}
}

func escapeICS(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`).Replace(clean(lines[i]))
	}
	return strings.Join(lines, `\n`)
}

// fold writes a line in pieces of at most 75 bytes, not within a character.
func fold(b *bytes.Buffer, line string) {
	for limit := 75; len(line) > limit; limit = 74 {
		n := limit
		for n > 1 && !utf8.RuneStart(line[n]) {
			n--
		}
		b.WriteString(line[:n] + "\r\n ")
		line = line[n:]
	}
	b.WriteString(line + "\r\n")
}
