package status

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

const (
	// Connections beyond these wait until one is closed.
	maxConns = 128
	// Answers are held in memory until they are written: there are so many at most, and others wait for so long.
	maxAnswers = 16
	patience   = time.Second
	retryAfter = 1 // second
	// After an answer or a refusal is made nobody makes one in its place for so long, beyond what its making has rested: what
	// a crowd asks here takes no time from DNS.
	rest = 10 * time.Millisecond

	// What a request's head may have, in time and size.
	headTime = 5 * time.Second
	maxHead  = 16 << 10
	// A connection without a request is closed after idleTime.
	idleTime = 15 * time.Second
	// A reader who takes no chunk of the answer for stallTime is dropped, and so is one who has not taken all in answerTime.
	stallTime  = 5 * time.Second
	answerTime = 30 * time.Second
	chunk      = 64 << 10
	// What is being answered when the server ends has so long. Browsers keep connections on which they have asked nothing yet.
	endTime = 2 * time.Second
)

const (
	// DefaultAddress is where people ask if the Corefile does not say. It is for who is on this machine: names and addresses of
	// containers are nobody else's business.
	DefaultAddress = "localhost:9180"
	// RecordsField is the field of an explanation's head that has the number of the answer's records: a script need not read
	// the text to know whether there are any.
	RecordsField = "Dns-Records"
)

// Server answers people's requests over HTTP. It is an http.Handler.
type Server struct {
	Version string // of the program, "" if it is not to be told

	blocks    func() []Block  // of the configuration that serves now
	names     func() []string // by which it may be asked, besides localhost and addresses
	mux       http.ServeMux
	answers   chan struct{} // has an item for each answer that is made or written
	work      chan struct{} // has an item for each answer that is made
	refusals  chan struct{} // has an item while one of those is refused for whom there was no place
	listeners chan struct{} // has an item for each page that is live

	mu     sync.Mutex      // guards the following
	live   context.Context // ends with the events of pages that are live
	endAll func()
}

// New returns a server of the blocks, which may change, as the names may by which it is asked besides localhost and addresses.
// Nil gives no names.
func New(blocks func() []Block, names func() []string) *Server {
	if names == nil {
		names = func() []string { return nil }
	}
	s := &Server{
		names:     names,
		answers:   make(chan struct{}, maxAnswers),
		listeners: make(chan struct{}, maxListeners),
		refusals:  make(chan struct{}, 1),
		work:      make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), // DNS has the other processors
	}
	s.blocks = func() []Block { return s.paced(blocks()) }
	s.live, s.endAll = context.WithCancel(context.Background())
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /explain":         s.ask,
		"GET /explain/{name}":  s.shows(s.explain),
		"GET /names":           s.shows(s.nameTable),
		"GET /containers":      s.shows(s.containerTable),
		"GET /containers/{id}": s.shows(s.container),
		"GET /hosts":           s.shows(s.hostTable),
		"GET /zones/{zone}":    s.shows(s.zoneFile),
		"GET /events":          s.events,
		"GET /assets/{file}":   s.asset,
		"GET /{$}":             s.shows(s.overview),
		"GET /":                s.shows(s.nothing),
	} {
		s.mux.HandleFunc(pattern, h)
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if p := s.refusal(r); p != nil {
		if p.Status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "GET, HEAD")
		}
		s.write(w, r, textForm, p.Status, []byte(p.Error()+"\n"))
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Start answers the requests that come in at the listener, until the returned function is called: it lets answers be
// finished that are being made or written, and ends the contexts of requests that wait for events.
func (s *Server) Start(l net.Listener, warnf func(format string, args ...any)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headTime, ReadTimeout: headTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHead,
		BaseContext:    func(net.Listener) context.Context { return ctx },
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.Serve(spreading(netutil.LimitListener(l, maxConns))); !errors.Is(err, http.ErrServerClosed) {
			warnf("The status listener at %s has ended: %v", l.Addr(), err)
		}
	}()
	return func() {
		cancel()
		ending, cancel := context.WithTimeout(context.Background(), endTime)
		defer cancel()
		err := h.Shutdown(ending)
		if n := len(s.answers); err != nil && n > 0 {
			warnf("%d answers of the status listener at %s are cut off: their readers are slow", n, l.Addr())
		}
		h.Close() // fails where closing the listener has, which Shutdown did
		<-done
	}
}

// Renew ends the events of all pages that are live, which then ask for those of the blocks that there are now.
func (s *Server) Renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endAll()
	s.live, s.endAll = context.WithCancel(context.Background())
}

// while returns the context until the next Renew. It is to be ended by the function that is returned too.
func (s *Server) while(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	stop := context.AfterFunc(s.live, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// view is what a route has to show, in each form.
type view struct {
	status int // of HTTP, 200 if 0
	title  string
	json   any                   // what encoding/json makes of it
	text   func(io.Writer) error // for a terminal
	html   string                // the name of the template that shows it, which gets json's value
	data   func() (any, error)   // makes another value for the template, if it is not nil

	records *int // that the explained answer has, for RecordsField; nil if no answer is explained
}

// problem is why a request gets no answer. The text is for who has asked.
type problem struct {
	Status int    `json:"status"`
	Text   string `json:"error"`
}

func (p *problem) Error() string { return p.Text }

func problemf(status int, format string, args ...any) *problem {
	return &problem{status, fmt.Sprintf(format, args...)}
}

// asProblem returns the problem that the error is. Others are the asker's.
func asProblem(err error) *problem {
	var p *problem
	if !errors.As(err, &p) {
		p = &problem{http.StatusBadRequest, err.Error()}
	}
	return p
}

// view shows the problem.
func (p *problem) view() view {
	return view{
		status: p.Status, title: http.StatusText(p.Status), json: p, html: "problem",
		text: func(w io.Writer) error {
			_, err := fmt.Fprintln(w, p.Text)
			return err
		},
	}
}

// shows answers with what the route has to show, in the form that the request wants. Errors of the route that are no problem
// are the asker's.
func (s *Server) shows(route func(*http.Request) (view, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept")
		f, p := accepted(r)
		if p != nil {
			s.write(w, r, textForm, p.Status, []byte(p.Error()+"\n"))
			return
		}
		if !enter(r.Context(), s.answers) {
			done, err := turn(r.Context(), s.refusals) // to refuse a crowd all at once would take the processor from DNS
			if err != nil {
				return // nobody waits any more
			}
			defer done()
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
			s.write(w, r, textForm, http.StatusServiceUnavailable, []byte("Too many ask at once: try again in a second\n"))
			return
		}
		defer func() { <-s.answers }()
		status, body, err := s.make(w.Header(), r, f, route)
		if err != nil {
			f, status, body = textForm, http.StatusInternalServerError, []byte(err.Error()+"\n")
		}
		s.write(w, r, f, status, body)
	}
}

// enter takes a place, and waits a while for one. It reports whether there is one.
func enter(ctx context.Context, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// turn waits until there is a place to work. Done has to be called after the work: the place rests then.
func turn(ctx context.Context, places chan struct{}) (done func(), err error) {
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return func() { time.AfterFunc(rest, func() { <-places }) }, nil
}

// make makes the answer in the form. Few are made at once, so that queries of DNS find a processor.
func (s *Server) make(head http.Header, r *http.Request, f *form, route func(*http.Request) (view, error)) (status int, body []byte, err error) {
	done, err := turn(r.Context(), s.work)
	if err != nil {
		return 0, nil, err
	}
	defer done()
	v, err := route(r)
	if err == nil && f == htmlForm && v.data != nil {
		v.json, err = v.data()
	}
	if err != nil {
		v = asProblem(err).view()
	}
	if v.records != nil {
		head.Set(RecordsField, strconv.Itoa(*v.records))
	}
	var b bytes.Buffer
	w := printable(restful{&b, s.pace()})
	switch f {
	case jsonForm:
		err = json.NewEncoder(w).Encode(v.json)
	case htmlForm:
		err = s.html(w, r, v)
	default:
		err = v.text(w)
	}
	if err == nil {
		err = w.Close()
	}
	return cmp.Or(v.status, http.StatusOK), b.Bytes(), err
}

// mayTake gives the reader the time until then to take what is written next.
func mayTake(control *http.ResponseController, until time.Time) error {
	// Where the writer has no deadlines, as a test's, nobody reads slowly.
	if err := control.SetWriteDeadline(until); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// write writes an answer. A reader who does not take it is dropped.
func (s *Server) write(w http.ResponseWriter, r *http.Request, f *form, status int, body []byte) {
	w.Header().Set("Content-Type", f.contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	control, end := http.NewResponseController(w), time.Now().Add(answerTime)
	for len(body) > 0 {
		n := min(len(body), chunk)
		deadline := time.Now().Add(stallTime)
		if deadline.After(end) {
			deadline = end
		}
		if mayTake(control, deadline) != nil {
			return // the connection is closed
		}
		if _, err := w.Write(body[:n]); err != nil {
			return
		}
		body = body[n:]
	}
}
