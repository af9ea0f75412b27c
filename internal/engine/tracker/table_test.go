package tracker

import (
	"errors"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// The states of the two tables in the package's comment.
func (t *Tracker) knownAs() string {
	switch {
	case t.run.facts != nil && t.run.facts.Stopping:
		return "stopping"
	case t.run.facts != nil:
		return "running"
	case t.waiting != nil:
		return "created"
	case t.ended:
		return "ended"
	default:
		return "off"
	}
}

func (t *Tracker) asking() string {
	switch {
	case t.inflight != nil && t.due != nil:
		return "again"
	case t.inflight != nil:
		return "asking"
	case t.due != nil:
		return "due"
	default:
		return "quiet"
	}
}

// later10s is when the inputs of the tables come: whatever was before is no matter for the pace.
var later10s = now(10_000)

func tableFacts() *container.Container {
	return &container.Container{ID: "web", Name: "web", StopTimeout: time.Second, Endpoints: on("front")}
}

// as returns a tracker by which the container is known as is said, and for which nothing is to be found out.
func as(t *testing.T, known string) *Tracker {
	t.Helper()
	web := runs(*tableFacts())
	switch known {
	case "off", "created":
		off := New("web", nil)
		web = &off
		if known == "created" {
			web.Event(Event{Kind: Created, At: at(1)}, now(9_000))
			web.Wake(now(9_500))
			web.Answer(Answer{Created: tableFacts()}, now(9_501))
		}
	case "ended":
		web.Event(Event{Kind: Ended, At: at(1)}, now(1))
	case "stopping":
		web.Event(Event{Kind: Signalled, Signal: "TERM", At: at(1)}, now(9_000))
	}
	if got := web.knownAs() + ", " + web.asking(); got != known+", quiet" {
		t.Fatalf("set up %s, want %s", got, known)
	}
	return web
}

// set has the tracker be in a state of asking.
func set(t *testing.T, web *Tracker, asking string) {
	t.Helper()
	changed := Event{Kind: Changed, At: at(9_000)}
	switch asking {
	case "due": // at its turn
		web.look(7, new(Effects))
	case "asking", "again":
		web.Event(changed, now(9_700))
		if asking == "again" {
			web.Event(changed, now(9_701))
		}
	}
	if got := web.asking(); got != asking {
		t.Fatalf("set up %s, want %s", got, asking)
	}
}

// input is one of the tables', from what is known as is said.
type input struct {
	name, known string
	do          func(*Tracker) Effects
}

func onEvent(e Event) func(*Tracker) Effects {
	return func(web *Tracker) Effects { return web.Event(e, later10s) }
}

func onAnswer(a Answer) func(*Tracker) Effects {
	return func(web *Tracker) Effects {
		answer := a
		if a.Facts != nil { // which become the tracker's
			facts := *a.Facts
			answer.Facts = &facts
		}
		return web.Answer(answer, later10s)
	}
}

// TestTableOfAsking checks the second table in the package's comment. A cell is the state that follows, with ! if an inspect begins;
// "" where the input can't be.
func TestTableOfAsking(t *testing.T) {
	signal := Event{Kind: Signalled, Signal: "TERM", At: at(9_900)}
	answer := Answer{Facts: tableFacts(), Since: at(0)}
	for _, row := range []struct {
		input
		quiet, due, asking, again string
	}{
		{input{"Created", "off", onEvent(Event{Kind: Created, At: at(9_900)})}, "due", "due", "asking", "again"},
		{input{"ends of who is off", "off", onEvent(Event{Kind: Lessened, At: at(9_900)})}, "quiet", "asking!", "again", "again"},
		{input{"ends of who runs", "running", onEvent(Event{Kind: Lessened, At: at(9_900)})}, "asking!", "asking!", "again", "again"},
		{input{"Ended", "running", onEvent(Event{Kind: Ended, At: at(9_900)})}, "quiet", "due", "asking", "again"},
		{input{"any other", "running", onEvent(Event{Kind: Changed, At: at(9_900)})}, "asking!", "asking!", "again", "again"},
		{input{"Connected", "off", onEvent(Event{Kind: Connected, At: at(9_900)})}, "asking!", "asking!", "again", "again"},
		{input{"Started, included", "running", onEvent(Event{Kind: Started, At: at(5)})}, "quiet", "due", "asking", "again"},
		{input{"Started, another", "running", onEvent(Event{Kind: Started, At: at(9_900)})}, "asking!", "asking!", "again", "again"},
		{input{"Signalled", "running", onEvent(signal)}, "quiet", "due", "asking", "again"},
		{input{"Signalled, off", "off", onEvent(signal)}, "asking!", "due", "asking", "again"},
		{input{"Listed, as known", "running", func(web *Tracker) Effects {
			return web.Listed(&Summary{ID: "web", Name: "web", Endpoints: on("front")}, 8)
		}}, "quiet", "due", "asking", "again"},
		{input{"Listed, differs", "running", func(web *Tracker) Effects { return web.Listed(&Summary{ID: "web", Name: "new"}, 8) }}, "due", "due", "again", "again"},
		{input{"Listed, stops", "stopping", func(web *Tracker) Effects { return web.Listed(&Summary{ID: "web", Name: "web"}, 8) }}, "due", "due", "again", "again"},
		{input{"Unlisted", "running", func(web *Tracker) Effects { return web.Unlisted(8, later10s) }}, "due", "due", "again", "again"},
		{input{"Unlisted, off", "ended", func(web *Tracker) Effects { return web.Unlisted(8, later10s) }}, "quiet", "due", "asking", "again"},
		{input{"Turn", "running", func(web *Tracker) Effects { return web.Turn(7, later10s) }}, "quiet", "asking!", "asking", "again"},
		{input{"Wake", "running", func(web *Tracker) Effects { return web.Wake(later10s) }}, "quiet", "due", "asking", "again"},
		{input{"Wake, did not stop", "stopping", func(web *Tracker) Effects { return web.Wake(now(100_000)) }}, "asking!", "due", "again", "again"},
		{input{"Answer", "running", onAnswer(answer)}, "", "", "quiet", "asking!"},
		{input{"Answer failed", "running", onAnswer(Answer{Err: errors.New("failed")})}, "", "", "due", "asking!"},
		{input{"SessionEnded", "running", func(web *Tracker) Effects { return web.SessionEnded(later10s) }}, "quiet", "quiet", "quiet", "quiet"},
	} {
		for state, want := range map[string]string{"quiet": row.quiet, "due": row.due, "asking": row.asking, "again": row.again} {
			if want == "" {
				continue
			}
			web := as(t, row.known)
			set(t, web, state)
			if row.name == "Wake, did not stop" && state != "quiet" { // it is told earlier
				web.signal.until = now(50_000).Now
			}
			f := row.do(web)
			got := web.asking()
			if f.Inspect {
				got += "!"
			}
			if got != want {
				t.Errorf("%s, while %s: %s, want %s", row.name, state, got, want)
			}
			if f.Turn != (row.name == "Listed, differs" || row.name == "Listed, stops" || row.name == "Unlisted") {
				t.Errorf("%s, while %s: gets a turn %v", row.name, state, f.Turn)
			}
		}
	}
}

// TestTableOfWhatIsKnown checks the first table in the package's comment. A cell is the state that follows, with ! if a change is
// delivered; "" where the input can't be.
func TestTableOfWhatIsKnown(t *testing.T) {
	none := Answer{Since: at(9_900)}
	failed := errors.New("failed")
	for _, row := range []struct {
		name                                   string
		do                                     func(*Tracker) Effects
		off, created, ended, running, stopping string
	}{
		{"Created", onEvent(Event{Kind: Created, At: at(9_900)}), "created", "created", "ended", "running", "stopping"},
		{"Ended", onEvent(Event{Kind: Ended, At: at(9_900)}), "off", "created", "ended", "ended!", "ended!"},
		{"Ended before its start", onEvent(Event{Kind: Ended, At: at(-1)}), "off", "created", "ended", "running", "stopping"},
		{"Removed", onEvent(Event{Kind: Removed, At: at(9_900)}), "off", "off!", "off!", "off!", "off!"},
		{"Signalled", onEvent(Event{Kind: Signalled, Signal: "TERM", At: at(9_900)}), "off", "created", "ended", "stopping!", "stopping"},
		{"Signalled otherwise", onEvent(Event{Kind: Signalled, Signal: "HUP", At: at(9_900)}), "off", "created", "ended", "running", "stopping"},
		{"Disconnected", onEvent(Event{Kind: Disconnected, Network: "front", At: at(9_900)}), "off", "created", "ended", "running!", "stopping!"},
		{"Connected", onEvent(Event{Kind: Connected, Network: "front", At: at(9_900)}), "off!", "created!", "ended!", "running", "stopping"},
		{"Started", onEvent(Event{Kind: Started, At: at(9_900)}), "off!", "created!", "ended!", "running", "stopping"},
		{"Changed", onEvent(Event{Kind: Changed, At: at(9_900)}), "off", "created", "ended", "running", "stopping"},
		{"Answer with facts", onAnswer(Answer{Facts: tableFacts(), Since: at(0)}), "running!", "running!", "running!", "running", "stopping"},
		{"Answer with other facts", onAnswer(Answer{Facts: &container.Container{ID: "web", Name: "new"}, Since: at(5_000)}), "running!", "running!", "running!", "running!", "running!"},
		{"Answer created", onAnswer(Answer{Created: tableFacts()}), "off", "created", "ended", "ended!", "ended!"},
		{"Answer that it is off", onAnswer(none), "off", "off!", "ended", "ended!", "ended!"},
		{"Answer that it is gone", onAnswer(Answer{Gone: true}), "off", "off!", "off!", "off!", "off!"},
		{"Answer too large", onAnswer(Answer{Err: failed, TooLarge: true}), "off!", "off!", "ended!", "ended!", "ended!"},
		{"Answer failed", onAnswer(Answer{Err: failed}), "off!", "created!", "ended!", "running!", "stopping!"},
		{"Unlisted", func(web *Tracker) Effects { return web.Unlisted(8, later10s) }, "off", "created", "ended", "running", "stopping"},
		{"Unlisted after long", func(web *Tracker) Effects { return web.Unlisted(8, now(1_000_000)) }, "off", "off", "ended", "running", "stopping"},
		{"SessionEnded", func(web *Tracker) Effects { return web.SessionEnded(later10s) }, "off", "created", "ended", "running", "stopping"},
	} {
		for known, want := range map[string]string{"off": row.off, "created": row.created, "ended": row.ended, "running": row.running, "stopping": row.stopping} {
			web := as(t, known)
			if len(row.name) > 6 && row.name[:6] == "Answer" {
				set(t, web, "asking")
			}
			f := row.do(web)
			got := web.knownAs()
			if len(f.Deliver) > 0 && f.Deliver[len(f.Deliver)-1].Changed {
				got += "!"
			}
			if got != want {
				t.Errorf("%s, while %s: %s, want %s", row.name, known, got, want)
			}
		}
	}
}
