package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what a command found.
type report struct {
	Name    string // of the files
	Title   string
	Command string // that gives it
	Date    string
	Machine string
	Notes   []string
	Tables  []table
}

// table has a row for each thing measured and a column for each way in which it was.
type table struct {
	Title   string
	Columns []column
	Rows    []row
}

type column struct {
	Title  string
	Digits int     // after the point
	Plot   bool    // has a plot
	Line   float64 `json:",omitempty"` // to be compared with, in the plot
}

// row has an estimate for each column; one of an empty sample where there is none.
type row struct {
	Name   string
	Values []estimate
}

func (t *table) add(name string, values ...estimate) { t.Rows = append(t.Rows, row{name, values}) }

func newReport(name, title string, args []string) *report {
	return &report{
		Name: name, Title: title, Command: strings.Join(append([]string{"bench", name}, args...), " "),
		Date: time.Now().Format(time.DateOnly), Machine: machine(),
	}
}

// machine tells where a report comes from.
func machine() string {
	cpu := "unknown CPU"
	info, _ := os.ReadFile("/proc/cpuinfo") // which may look otherwise
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			cpu = strings.TrimSpace(value)
			break
		}
	}
	commit := "unknown"
	if out, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%d cores of %s, %s/%s, %s, commit %s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.GOARCH, runtime.Version(), commit)
}

func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// newFlags returns the flags of a command, with the one that all have that write a report.
func newFlags(name string) (set *flag.FlagSet, out *string) {
	set = flag.NewFlagSet("bench "+name, flag.ContinueOnError)
	return set, set.String("out", "docs/benchmarks", fmt.Sprintf("folder for %s.json and %[1]s.svg", name))
}

// publish prints the report and writes its files.
func (r *report) publish(dir string) error {
	fmt.Print(r.text())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, r.Name+".json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	drawing, err := r.svg()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.Name+".svg"), drawing, 0o644)
}

func (r *report) text() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s; %s; %s\n", r.Title, r.Command, r.Date, r.Machine)
	for _, n := range r.Notes {
		fmt.Fprintln(&b, n)
	}
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "\n%s\n", t.Title)
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, c := range t.Columns {
			fmt.Fprintf(w, "\t%s", c.Title)
		}
		fmt.Fprintln(w)
		for _, row := range t.Rows {
			fmt.Fprint(w, row.Name)
			for i, v := range row.Values {
				fmt.Fprintf(w, "\t%s", v.format(t.Columns[i].Digits))
			}
			fmt.Fprintln(w)
		}
		w.Flush()
	}
	return b.String()
}

// MarshalJSON leaves out what an empty sample does not have: JSON has no NaN.
func (e estimate) MarshalJSON() ([]byte, error) {
	if e.N == 0 {
		return []byte("null"), nil
	}
	type plain estimate
	return json.Marshal(plain{round(e.Median), round(e.Low), round(e.High), e.N})
}

// round leaves five significant digits.
func round(v float64) float64 {
	if v == 0 {
		return 0
	}
	by := math.Pow(10, 4-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*by) / by
}
