package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"strings"
	"text/template"
)

//go:embed plot.svg.tmpl
var plotText string

var plotTemplate = template.Must(template.New("plot").Parse(plotText))

// Measures of the drawing, in its own units.
const (
	panelWidth = 440
	labelWidth = 170 // of the names left of the bars
	barsWidth  = 180
	rowHeight  = 24
	headHeight = 40 // above a panel's first bar
)

// The drawing has a panel for each column that is to be plotted, two side by side.
type drawing struct {
	Title, Machine string
	Width, Height  int
	Panels         []panel
}

type panel struct {
	X, Y        int
	Title, Unit string
	Bars        []bar
	Line        string // where it is; none if empty
	Bottom      int
}

type bar struct {
	Name, Class, Figure string
	X, Y, Label, Text   int
	Width, Low, High    string
	Value, Middle       string
	Interval            bool
}

// svg draws the report, readable on light and dark ground.
func (r *report) svg() ([]byte, error) {
	d := drawing{Title: r.Title, Machine: r.Machine + ", " + r.Date, Width: 2*panelWidth + 20, Height: 60}
	left, height := true, 0
	for _, t := range r.Tables {
		for i, c := range t.Columns {
			if !c.Plot {
				continue
			}
			p := newPanel(t, i)
			p.X, p.Y = 20, d.Height
			if !left {
				p.X += panelWidth
			}
			height = max(height, p.Bottom+20)
			if left = !left; left {
				d.Height, height = d.Height+height, 0
			}
			d.Panels = append(d.Panels, p)
		}
	}
	d.Height += height
	var b bytes.Buffer
	err := plotTemplate.Execute(&b, d)
	return b.Bytes(), err
}

func newPanel(t table, i int) panel {
	c := t.Columns[i]
	p := panel{Title: t.Title, Unit: c.Title, Bottom: headHeight + rowHeight*len(t.Rows)}
	most := c.Line
	for _, r := range t.Rows {
		if r.Values[i].N > 0 {
			most = max(most, r.Values[i].High)
		}
	}
	at := func(v float64) string { return fmt.Sprintf("%.1f", labelWidth+barsWidth*v/most) }
	if c.Line > 0 {
		p.Line = at(c.Line)
		p.Unit += fmt.Sprintf(" (dashed: %g)", c.Line)
	}
	for n, r := range t.Rows {
		v := r.Values[i]
		b := bar{Name: r.Name, Class: "bar", X: labelWidth, Y: headHeight + rowHeight*n, Label: labelWidth - 8, Figure: "none", Width: "0", Value: at(0)}
		b.Text, b.Middle = b.Y+13, fmt.Sprint(b.Y+8)
		if strings.HasPrefix(r.Name, "docker") {
			b.Class = "ours"
		}
		if v.N > 0 && !math.IsNaN(v.Median) {
			b.Figure = fmt.Sprintf("%.*f", c.Digits, v.Median)
			b.Width = fmt.Sprintf("%.1f", barsWidth*v.Median/most)
			b.Interval, b.Low, b.High = v.N > 1, at(v.Low), at(v.High)
			b.Value = fmt.Sprintf("%.1f", labelWidth+barsWidth*max(v.Median, v.High, c.Line)/most+6)
		}
		p.Bars = append(p.Bars, b)
	}
	return p
}
