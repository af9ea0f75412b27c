package status

import (
	"fmt"
	"io"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Explanation says why a name has the answer that it has for one asker.
type Explanation struct {
	Block string
	Name  string // absolute, in lower case
	Type  uint16
	From  string   // who asks, as a sentence has it
	Zone  string   // in which the name lies, "" if it lies in none of Zones
	Zones []string // the block's

	Cause    Cause          // the one thing that decides
	Verdicts []zone.Verdict // what became of each claim to the name
	Near     []string       // names that exist and look like it, the nearest first

	Outcome zone.Outcome
	Passed  bool     // the next plugin of the server block answers
	Answer  *dns.Msg // nil if Passed
}

// Cause is the one thing that decides what the answer is.
type Cause string

// Text writes the explanation for a terminal: the answer's cause first, the steps that led there, and the answer as dig shows it.
func (e *Explanation) Text(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s %s: %s\n", e.Name, dns.TypeToString[e.Type], e.Short())
	return err
}

// Short says in a few words why the answer is not what somebody may expect, "" if there is nothing to say. It is the text of an
// extended DNS error (RFC 8914).
func (e *Explanation) Short() string { return string(e.Cause) }
