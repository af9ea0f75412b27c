package status_test

import (
	"net/http"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// answering is a block that has one answer for all names.
type answering struct {
	*block
	answer *dns.Msg
}

func (a answering) Explain(q status.Question) (*status.Explanation, error) {
	return &status.Explanation{Name: q.Name, Type: q.Type, Passed: a.answer == nil, Answer: a.answer}, nil
}

// The head of an explanation says whether the name has an answer. Nothing else is one.
func TestRecordsField(t *testing.T) {
	for _, c := range []struct {
		answer     *dns.Msg
		path, want string
	}{
		{nil, "/explain/web", "0"}, // the next plugin answers
		{new(dns.Msg), "/explain/web", "0"},
		{&dns.Msg{Answer: []dns.RR{new(dns.A), new(dns.A)}}, "/explain/web", "2"},
		{nil, "/explain/web?type=B", ""},
		{nil, "/hosts", ""},
	} {
		s := status.New(func() []status.Block { return []status.Block{answering{docker(1), c.answer}} }, nil)
		for _, form := range []string{"text/plain", "application/json"} {
			if got := get(s, http.MethodGet, c.path, "Accept", form).Header.Get(status.RecordsField); got != c.want {
				t.Errorf("%s as %s: %q records, want %q", c.path, form, got, c.want)
			}
		}
	}
}
