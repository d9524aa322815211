package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
)

// timeline shows what has a date, by namespace and workload. Its axis is not
// linear: it has a column for each distance at which one acts differently, and
// time runs evenly within a column.
type timeline struct {
	Buckets []bucket
	Lines   []string // where columns meet, as percentages
	Now     string
	Groups  []group
}

type bucket struct {
	Index       int
	Name, Short string
	N           int
}

// group is a namespace, or a road for what has none.
type group struct {
	Name  string
	Open  bool
	Lanes []lane
	Dots  []dot
	Next  *moment // what comes next, nil where all is over
	Last  *moment // the latest of what is over
}

// lane is one workload with all of its dates.
type lane struct {
	Name string
	Row  row // the first to come
	Dots []dot
	N    int
}

// dot is a date on the axis.
type dot struct{ X, Class, Title string }

// columns are the distances from now; the last and the first are open, and
// drawn as wide as the span beside them.
var columns = []struct {
	name, short string
	upTo, span  time.Duration // span is how much time the column's width stands for
}{
	{"already over", "over", 0, 90 * oneDay},
	{"within 24 hours", "24 h", oneDay, oneDay},
	{"within 7 days", "7 d", 7 * oneDay, 6 * oneDay},
	{"within 30 days", "30 d", 30 * oneDay, 23 * oneDay},
	{"within 90 days", "90 d", 90 * oneDay, 60 * oneDay},
	{"later", "later", 0, 275 * oneDay},
}

const oneDay = 24 * time.Hour

func bucketOf(left time.Duration) int {
	if left <= 0 {
		return 0
	}
	for i := 1; i < len(columns)-1; i++ {
		if left <= columns[i].upTo {
			return i
		}
	}
	return len(columns) - 1
}

// position is where a date stands, in percent of the axis.
func position(left time.Duration) string {
	i := bucketOf(left)
	from := time.Duration(0)
	if i > 0 {
		from = columns[i-1].upTo
	} else {
		from = -columns[0].span
	}
	part := float64(left-from) / float64(columns[i].span)
	// A little air, so that a dot touches no neighbour's column.
	part = 0.06 + 0.88*min(max(part, 0), 1)
	return percent((float64(i) + part) / float64(len(columns)))
}

func percent(part float64) string { return fmt.Sprintf("%.2f%%", part*100) }

// openLanes is how many workloads a page shows unfolded.
const openLanes = 40

func newTimeline(r finding.Report, rows []row) *timeline {
	t := &timeline{Now: percent(1 / float64(len(columns)))}
	for i, c := range columns {
		t.Buckets = append(t.Buckets, bucket{Index: i, Name: c.name, Short: c.short})
		if i > 0 {
			t.Lines = append(t.Lines, percent(float64(i)/float64(len(columns))))
		}
	}
	type key struct{ group, name string }
	lanes := map[key]*lane{}
	var order []key
	for i, x := range rows {
		if x.Due == nil {
			continue
		}
		t.Buckets[x.Bucket].N++
		k := key{x.Namespace, x.Name}
		if k.group == "" {
			k.group = x.Road + " road"
		}
		l := lanes[k]
		if l == nil {
			l = &lane{Name: k.name, Row: x}
			lanes[k] = l
			order = append(order, k)
		}
		for _, due := range dates(r.Findings[i]) {
			l.N++
			l.Dots = append(l.Dots, dot{position(due.Sub(r.At)), x.Severity, x.Subject + ": " + finding.Moment(due)})
		}
		if sooner(x, l.Row) {
			l.Row = x
		}
	}
	if len(order) == 0 {
		return nil
	}
	groups := map[string]*group{}
	var names []string
	for _, k := range order {
		g := groups[k.group]
		if g == nil {
			g = &group{Name: k.group, Open: len(order) <= openLanes}
			groups[k.group] = g
			names = append(names, k.group)
		}
		g.Lanes = append(g.Lanes, *lanes[k])
		g.Dots = append(g.Dots, lanes[k].Dots...)
	}
	for _, name := range names {
		g := groups[name]
		slices.SortStableFunc(g.Lanes, func(a, b lane) int {
			if c := compareRows(a.Row, b.Row); c != 0 {
				return c
			}
			return cmp.Compare(a.Name, b.Name)
		})
		for i := range g.Lanes {
			x := g.Lanes[i].Row
			if x.Bucket > 0 && g.Next == nil {
				g.Next = x.Due
			}
			if x.Bucket == 0 && g.Last == nil {
				g.Last = x.Due
			}
		}
		g.Dots = thin(g.Dots)
		t.Groups = append(t.Groups, *g)
	}
	slices.SortStableFunc(t.Groups, func(a, b group) int {
		return cmp.Or(compareRows(a.Lanes[0].Row, b.Lanes[0].Row), cmp.Compare(a.Name, b.Name))
	})
	return t
}

// dates are all that a finding tells of when it happens: it is due at the first
// of the dates of its tokens.
func dates(f finding.Finding) []time.Time {
	out := []time.Time{f.Due}
	tokens, _ := f.Evidence["tokens"].([]any)
	for _, t := range tokens {
		fields, _ := t.(map[string]any)
		text, _ := fields["diesAt"].(string)
		if at, err := time.Parse(time.RFC3339, text); err == nil && at.After(f.Due.Add(time.Second)) && len(out) < maxDates {
			out = append(out, at)
		}
	}
	return out
}

// maxDates bounds the dots of one finding.
const maxDates = 100

// sooner tells whether a should stand for the workload rather than b: what is
// to come before what is over, and then the worse, and then the sooner.
func sooner(a, b row) bool { return compareRows(a, b) < 0 }

func compareRows(a, b row) int {
	over := func(x row) int {
		if x.Bucket == 0 {
			return 1
		}
		return 0
	}
	if c := cmp.Compare(over(a), over(b)); c != 0 {
		return c
	}
	if over(a) == 1 {
		return cmp.Compare(b.Due.ISO, a.Due.ISO) // the latest first
	}
	return cmp.Compare(a.Due.ISO, b.Due.ISO)
}

// thin leaves out dots that would lie on one another, and puts the worst on top.
func thin(dots []dot) []dot {
	seen := map[dot]bool{}
	var out []dot
	for _, d := range dots {
		x, _ := strconv.ParseFloat(strings.TrimSuffix(d.X, "%"), 64)
		k := dot{X: strconv.Itoa(int(x * 2)), Class: d.Class} // to half a percent
		if !seen[k] {
			seen[k] = true
			out = append(out, d)
		}
	}
	slices.SortStableFunc(out, func(a, b dot) int {
		return cmp.Compare(finding.Severity(a.Class).Rank(), finding.Severity(b.Class).Rank())
	})
	return out
}
