package status

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

const (
	// maxListeners bounds how many pages are live at once. Others look from time to time.
	maxListeners = 32
	// eventPause is the least time between two events: what changes meanwhile is told in one.
	eventPause = 200 * time.Millisecond
	// heartbeat is how often a listener hears something though nothing changes: so each side knows when the other is gone.
	heartbeat = 15 * time.Second
	// pollPause is how long a page waits that can't be live before it looks again.
	pollPause = 10 * time.Second
	// chunkLines is how many lines an event has at most. A browser takes one in before it does anything else.
	chunkLines = 250
)

// change is an event. What has Reset set and those that follow have all lines, up to the one that has Whole set; other events
// have what is new.
type change struct {
	Reset   bool       `json:"reset,omitempty"`
	Whole   bool       `json:"whole,omitempty"`
	Lines   []lineJSON `json:"lines,omitempty"`
	Gone    []string   `json:"gone,omitempty"`    // keys of lines
	Summary string     `json:"summary,omitempty"` // what is above the table, as HTML; "" if it is as it was
}

// lineJSON is a line as a script has it.
type lineJSON struct {
	Key   string `json:"key"`
	ID    string `json:"id"`
	Order string `json:"order"`
	Text  string `json:"text"` // in which a search looks
	Name  string `json:"name"`
	State string `json:"state"`
	HTML  string `json:"html"`
}

// events tells a page what changes in the table, for as long as both sides like: by server-sent events.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	p, err := read(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	ctx, done := s.while(r.Context()) // before the block is chosen, which may be of before a reload
	defer done()
	b, err := s.chosenOne(p)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	select {
	case s.listeners <- struct{}{}:
		defer func() { <-s.listeners }()
	default:
		w.Header().Set("Retry-After", strconv.Itoa(int(pollPause.Seconds())))
		s.refuse(w, r, problemf(http.StatusServiceUnavailable, "%d pages are live, and there can be no more", maxListeners))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	st := &stream{server: s, w: w, control: http.NewResponseController(w), block: b, from: p.Get("from"), ended: map[zone.Key]bool{}}
	// The request has been read; what comes after it is but the connection's end.
	if err := st.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return // the connection is closed
	}
	since, err := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64)
	if err != nil {
		since = 0 // all is new for who has none of our numbers
	}
	st.run(ctx, since)
	_ = mayTake(st.control, time.Now().Add(stallTime)) // the answer's end is to come; where the connection is closed it does not
}

// refuse says why there are no events.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := asProblem(err)
	s.write(w, r, textForm, p.Status, []byte(p.Error()+"\n"))
}

// stream is one listener's.
type stream struct {
	server  *Server
	w       http.ResponseWriter
	control *http.ResponseController
	block   Block
	from    string
	summary string            // the last one sent
	ended   map[zone.Key]bool // whose lines are of containers that do not run: these are forgotten after a while, without a change
}

// run tells of changes until the context ends, or the listener does not take them.
func (st *stream) run(ctx context.Context, since uint64) {
	alive := time.NewTicker(heartbeat)
	defer alive.Stop()
	for {
		changes := st.block.Changes(since)
		if st.tell(ctx, changes) != nil {
			return // the listener has gone, or stalls
		}
		since = changes.Last
		select {
		case <-time.After(eventPause):
		case <-ctx.Done():
			return
		}
		select {
		case <-changes.Next:
		case <-alive.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell sends what has changed. If nothing has, it sends a sign of life.
func (st *stream) tell(ctx context.Context, changes catalog.Changes) error {
	v := viewFrom(st.block, st.from)
	if changes.All {
		return st.all(ctx, v, changes.Last)
	}
	var c change
	var known []catalog.Explanation
	for _, key := range v.concerned(changes.Keys) {
		e, is := st.block.Container(key)
		switch {
		case is && v.asks(&e): // others have other addresses for it now
			return st.all(ctx, v, changes.Last)
		case is:
			known = append(known, e)
		case !key.IsHost():
			delete(st.ended, key)
			c.Gone = append(c.Gone, lineKey(key))
		}
	}
	for key := range st.ended {
		if _, is := st.block.Container(key); !is {
			delete(st.ended, key)
			c.Gone = append(c.Gone, lineKey(key))
		}
	}
	var err error
	if c.Lines, err = st.lines(ctx, v, known); err != nil {
		return err
	}
	return st.send(v, &c, changes.Last)
}

// all sends the whole table.
func (st *stream) all(ctx context.Context, v *seen, last uint64) error {
	c := change{Reset: true}
	clear(st.ended)
	all := slices.Collect(st.block.Containers())
	for chunk := range slices.Chunk(all, chunkLines) {
		var err error
		if c.Lines, err = st.lines(ctx, v, chunk); err != nil {
			return err
		}
		if err := errors.Join(ctx.Err(), st.event(&c, "")); err != nil {
			return err
		}
		c = change{}
	}
	c.Whole, st.summary = true, ""
	return st.send(v, &c, last)
}

// lines makes the containers' lines.
func (st *stream) lines(ctx context.Context, v *seen, of []catalog.Explanation) ([]lineJSON, error) {
	if len(of) == 0 {
		return nil, nil
	}
	done, err := turn(ctx, st.server.work)
	if err != nil {
		return nil, err
	}
	defer done()
	lines, pace := make([]lineJSON, len(of)), st.server.pace()
	for i := range of {
		pace.rest()
		var err error
		if lines[i], err = v.lineJSON(&of[i]); err != nil {
			return nil, err
		}
		if of[i].Facts == nil {
			st.ended[of[i].Key] = true
		} else {
			delete(st.ended, of[i].Key)
		}
	}
	return lines, nil
}

// send sends the last event of those that tell of changes up to a number. Who comes back with that is told what has changed since.
func (st *stream) send(v *seen, c *change, last uint64) error {
	summary, err := part("summary", v.summary())
	if err != nil {
		return err
	}
	if summary != st.summary {
		c.Summary, st.summary = summary, summary
	}
	return st.event(c, strconv.FormatUint(last, 10))
}

// event writes an event, with its number if it has one.
func (st *stream) event(c *change, id string) error {
	var b bytes.Buffer
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	b.WriteString("data: ")
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // it is longer, and of use in HTML alone
	if err := enc.Encode(c); err != nil {
		return err
	}
	b.WriteByte('\n')
	if err := mayTake(st.control, time.Now().Add(stallTime)); err != nil {
		return err
	}
	if _, err := st.w.Write(b.Bytes()); err != nil {
		return err
	}
	return st.control.Flush()
}

// concerned returns the keys, and those of the containers that claim the first name of one of these: they may have got it, or
// have lost it.
func (v *seen) concerned(keys []zone.Key) []zone.Key {
	all, has := slices.Clone(keys), map[zone.Key]bool{}
	for _, key := range keys {
		has[key] = true
	}
	for _, key := range keys {
		e, known := v.block.Container(key)
		if !known || e.Entry == nil {
			continue
		}
		ex, err := v.first(e.Entry)
		if err != nil || ex == nil { // its line says so
			continue
		}
		for _, claim := range ex.Claims {
			if other := claim.Entry.Key; !has[other] && !other.IsHost() {
				has[other] = true
				all = append(all, other)
			}
		}
	}
	return all
}

// asks reports whether it is by the container that the block is seen.
func (v *seen) asks(e *catalog.Explanation) bool {
	return v.from == e.Name || v.from == e.ID || v.from == short(e.ID) ||
		e.Entry != nil && slices.ContainsFunc(e.Entry.Addresses, func(a zone.Address) bool { return a.IP.String() == v.from })
}

// lineJSON is the container's line as a script has it.
func (v *seen) lineJSON(e *catalog.Explanation) (lineJSON, error) {
	l := v.line(containerOf(v.info.Key, e), e)
	html, err := part("line", l)
	ends := "0"
	if e.Facts == nil {
		ends = "1" // it stands after the one of its name that runs
	}
	return lineJSON{l.Key, l.ID, strings.Join([]string{string(e.Host), e.Name, ends, e.ID}, "\x00"), l.text(), l.Name, l.State, html}, err
}

// part makes a part of the front page.
func part(name string, data any) (string, error) {
	var html strings.Builder
	w := printable(&html)
	err := pages["front"].ExecuteTemplate(w, name, data)
	if err := errors.Join(err, w.Close()); err != nil {
		return "", err
	}
	return html.String(), nil
}
