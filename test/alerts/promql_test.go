package alerts

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// set is one of labels' names.
type set map[string]bool

func setOf(names ...string) set {
	s := set{}
	for _, name := range names {
		s[name] = true
	}
	return s
}

func union(a, b set) set {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// parse reads an expression of PromQL.
func parse(expr string) (parser.Expr, error) {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	return e, nil
}

// selected returns the metrics that the expression looks at.
func selected(t *testing.T, expr string) (names []string) {
	t.Helper()
	e, err := parse(expr)
	if err != nil {
		t.Fatal(err)
	}
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			names = append(names, v.Name)
		}
		return nil
	})
	return names
}

// checker says what of an expression is not exported.
type checker struct {
	series   map[string][]map[string]string // what there is: labels by metric
	problems []string
}

func (c *checker) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// result checks an expression, and returns the labels that its results have.
func (c *checker) result(e parser.Expr) set {
	switch e := e.(type) {
	case *parser.VectorSelector:
		return c.selector(e)
	case *parser.MatrixSelector:
		return c.result(e.VectorSelector)
	case *parser.ParenExpr:
		return c.result(e.Expr)
	case *parser.SubqueryExpr:
		return c.result(e.Expr)
	case *parser.AggregateExpr:
		return c.aggregate(e)
	case *parser.BinaryExpr:
		return c.binary(e)
	case *parser.Call:
		all := set{}
		for _, arg := range e.Args {
			all = union(all, c.result(arg))
		}
		if e.Func.Name == "histogram_quantile" {
			delete(all, model.BucketLabel)
		}
		return all
	case *parser.NumberLiteral, *parser.StringLiteral:
		return set{}
	default:
		c.problem("%s is of a kind that is not checked: %T", e, e)
		return set{}
	}
}

func (c *checker) selector(v *parser.VectorSelector) set {
	all, exported := c.series[v.Name]
	if !exported {
		c.problem("there is no metric %s", v.Name)
		return set{}
	}
	has := set{}
	for _, series := range all {
		for name := range series {
			has[name] = true
		}
	}
	for _, m := range v.LabelMatchers {
		switch {
		case m.Name == model.MetricNameLabel:
		case !has[m.Name]:
			c.problem("%s has no label %s", v.Name, m.Name)
		case m.Type == labels.MatchNotEqual, m.Type == labels.MatchNotRegexp:
		case !slices.ContainsFunc(all, func(series map[string]string) bool { return m.Matches(series[m.Name]) }):
			c.problem("no %s has %s", v.Name, m)
		}
	}
	return has
}

func (c *checker) aggregate(e *parser.AggregateExpr) set {
	inner := c.result(e.Expr)
	for _, name := range e.Grouping {
		if !inner[name] {
			c.problem("%s has no label %s", e.Expr, name)
		}
	}
	if !e.Without {
		return setOf(e.Grouping...)
	}
	for _, name := range e.Grouping {
		delete(inner, name)
	}
	return inner
}

func (c *checker) binary(e *parser.BinaryExpr) set {
	left, right := c.result(e.LHS), c.result(e.RHS)
	switch {
	case e.LHS.Type() == parser.ValueTypeScalar:
		return right
	case e.RHS.Type() == parser.ValueTypeScalar:
		return left
	}
	for _, name := range e.VectorMatching.MatchingLabels {
		if !left[name] || !right[name] {
			c.problem("not both sides of %s have the label %s", e, name)
		}
	}
	switch {
	case e.Op == parser.LOR:
		return union(left, right)
	case e.Op.IsSetOperator():
		// Without `on` all labels must be equal: with others on one side no two would match.
		if !e.VectorMatching.On && !maps.Equal(left, right) {
			c.problem("the sides of %s have different labels: %v and %v", e, left, right)
		}
		return left
	case e.VectorMatching.On:
		return setOf(e.VectorMatching.MatchingLabels...)
	default:
		if !maps.Equal(left, right) {
			c.problem("the sides of %s have different labels: %v and %v", e, left, right)
		}
		return left
	}
}

// TestChecker checks that the checker finds what is wrong.
func TestChecker(t *testing.T) {
	series := map[string][]map[string]string{
		"a":        {{"host": "nas", "result": "ok"}},
		"b":        {{"host": "nas"}},
		"h_bucket": {{"host": "nas", "le": "1"}},
	}
	for expr, want := range map[string]int{
		`sum by (host, result) (rate(a{result="ok"}[5m])) > 1`: 0,
		`histogram_quantile(0.9, sum by (le) (h_bucket))`:      0,
		`b == 1 and on (host) a{result=~"ok|error"}`:           0,
		`time() - b > 600 or absent_over_time(b[1d])`:          0,
		`sum without (result) (a) / b`:                         0,
		`c`:                                                    1,
		`a{reslt="ok"}`:                                        1,
		`a{result="okay"}`:                                     1,
		`a{result=~"no|never"}`:                                1,
		`sum by (hst) (a)`:                                     1,
		`sum by (result) (sum by (host) (a))`:                  1,
		`b and on (result) a`:                                  1,
		`b and a`:                                              1,
		`a / b`:                                                1,
		`sum by (le) (histogram_quantile(0.9, h_bucket))`:      1,
	} {
		c := checker{series: series}
		e, err := parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		if c.result(e); len(c.problems) != want {
			t.Errorf("%s has %d problems, want %d: %q", expr, len(c.problems), want, c.problems)
		}
	}
}
