package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEstimate(t *testing.T) {
	for _, c := range []struct {
		n         int
		low, high float64 // of the sample 1 … n
	}{{6, 1, 6}, {9, 2, 8}, {20, 6, 15}, {60, 22, 39}, {1000, 469, 532}, {10_000, 4902, 5099}} { // tables of the sign test's interval
		var sample []float64
		for i := range c.n {
			sample = append(sample, float64(c.n-i))
		}
		if e := estimateOf(sample); e.Low != c.low || e.High != c.high || e.Median != float64(c.n+1)/2 || e.N != c.n {
			t.Errorf("of %d: %+v, want %v to %v", c.n, e, c.low, c.high)
		}
	}
}

const dnsperfOutput = `[Status] Command line: dnsperf -v
> NOERROR c000000.docker. A 0.000150
> NXDOMAIN m000000.docker. A 0.000050
Statistics:

  Queries sent:         2
  Queries completed:    2 (100.00%)
  Queries lost:         LOST

  Response codes:       NOERROR 1 (50.00%), NXDOMAIN 1 (50.00%)
  Run time (s):         1.000094
  Queries per second:   1999.812018
`

func TestParse(t *testing.T) {
	s, err := parse([]byte(strings.Replace(dnsperfOutput, "LOST", "0 (0.00%)", 1)))
	if err != nil || s.completed != 2 || s.perSecond != 1999.812018 || s.rcodes["NXDOMAIN"] != 1 || len(s.latencies) != 2 || s.latencies[0] != 50*time.Microsecond {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := parse([]byte(strings.Replace(dnsperfOutput, "LOST", "1 (50.00%)", 1))); err == nil {
		t.Error("a lost query is no error")
	}
	if _, err := parse(nil); err == nil {
		t.Error("no query is no error")
	}
}

func TestCounted(t *testing.T) {
	if n, ok := counted("# started\n\n123456,,instructions:u,1,100.00,,\n"); !ok || n != 123456 {
		t.Error(n, ok)
	}
	if n, ok := counted("<not supported>,,instructions:u,0,100.00,,\n"); ok {
		t.Error(n)
	}
}

func TestParseCandidates(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a=b") // the name ends at the first =
	if err := os.WriteFile(file, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	cs, err := parseCandidates([]string{"before=" + file, "after=" + file})
	if err != nil || !slices.Equal(cs, []candidate{{name: "before", binary: file}, {name: "after", binary: file}}) {
		t.Errorf("%v, %v", cs, err)
	}
	for _, bad := range [][]string{nil, {"a=" + file}, {"a=" + file, "a=" + file}, {"a=" + file, file[:1]}, {"a=" + file, "=" + file}, {"a=" + file, "b="}, {"a=" + file, "b=" + dir + "/none"}} {
		if cs, err := parseCandidates(bad); err == nil {
			t.Errorf("%q: %v, want an error", bad, cs)
		}
	}
}

// TestTabulate compares what two candidates did in two rounds: in each, the second took half as long.
func TestTabulate(t *testing.T) {
	c := comparison{candidates: []candidate{{name: "before"}, {name: "now"}}, report: &report{}}
	f := c.figure("ms", 0)
	for _, took := range []float64{4, 8} {
		f.add(0, took, took+100, took-1) // of which the median counts
		f.add(1, took/2)
	}
	c.tabulate("starts", f)
	half := estimate{0.5, 0.5, 0.5, 2}
	if rows := c.report.Tables[0].Rows; rows[0].Values[0].Median != 6 || rows[0].Values[1] != (estimate{1, 1, 1, 2}) || rows[1].Values[1] != half {
		t.Errorf("%+v", rows)
	}
}

func TestPlot(t *testing.T) {
	r := report{Title: "a < b", Tables: []table{{
		Columns: []column{{Title: "x"}, {Title: "y", Plot: true, Line: 1}},
		Rows:    []row{{"docker", []estimate{{1, 1, 1, 1}, {2, 1, 3, 9}}}, {"other", []estimate{estimateOf(nil), estimateOf(nil)}}},
	}}}
	b, err := r.svg()
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v:\n%s", err, b)
		}
	}
	if strings.Count(string(b), `<rect class="ours"`) != 1 || strings.Contains(string(b), "NaN") {
		t.Errorf("%s", b)
	}
}
