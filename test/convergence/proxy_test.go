package convergence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fault is a way in which the proxy is bad.
type fault string

const (
	cut       fault = "cut"       // all connections end, wherever they are
	stall     fault = "stall"     // open connections carry nothing
	slow      fault = "slow"      // events and answers come in small pieces
	truncate  fault = "truncate"  // answers and events end in the middle
	reorder   fault = "reorder"   // events overtake others
	duplicate fault = "duplicate" // events come twice, the second time maybe late
	drop      fault = "drop"      // events are lost
	refuse    fault = "refuse"    // calls get status 500
	hang      fault = "hang"      // inspects get no answer
	outage    fault = "outage"    // nobody listens
)

var faults = []fault{cut, stall, slow, truncate, reorder, duplicate, drop, refuse, hang, outage}

const (
	latest   = 40 * time.Millisecond // bounds how late an overtaken or doubled event comes
	slowness = 8 * time.Millisecond  // bounds the pause between two pieces
)

// proxy stands between the plugin and the engine, each on a unix socket.
type proxy struct {
	socket    string
	transport *http.Transport // to the engine

	mu       sync.Mutex // guards the following
	rng      *rand.Rand
	on       map[fault]chan struct{} // closed when the fault is undone
	conns    map[net.Conn]bool       // the plugin's
	server   *http.Server            // nil during an outage, as is listener
	listener net.Listener
	late     int       // events that others overtake
	caught   time.Time // when the last of them came
}

func startProxy(socket, engine string, rng *rand.Rand) (*proxy, error) {
	p := &proxy{
		socket: socket, rng: rng, on: map[fault]chan struct{}{}, conns: map[net.Conn]bool{},
		transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", engine)
			},
			DisableKeepAlives: true, // a connection kept over an outage of the engine's would add a fault of our own
		},
	}
	return p, p.listen()
}

func (p *proxy) listen() error {
	l, err := net.Listen("unix", p.socket)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0), ConnState: func(c net.Conn, state http.ConnState) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if state == http.StateNew {
			p.conns[c] = true
		} else if state == http.StateClosed {
			delete(p.conns, c)
		}
	}}
	p.mu.Lock()
	p.server, p.listener = s, l
	p.mu.Unlock()
	go s.Serve(l) // ends with the server's Close
	return nil
}

func (p *proxy) close() {
	p.mu.Lock()
	s, l := p.server, p.listener
	p.server, p.listener = nil, nil
	p.mu.Unlock()
	if s != nil {
		s.Close()
		l.Close() // the server may not have got to serve it
	}
}

// set begins a fault or ends it.
func (p *proxy) set(f fault, on bool) error {
	p.mu.Lock()
	undone, is := p.on[f]
	if on == is {
		p.mu.Unlock()
		return nil
	}
	var conns []net.Conn
	if on {
		p.on[f] = make(chan struct{})
		if f == cut {
			for c := range p.conns {
				conns = append(conns, c)
			}
		}
	} else {
		delete(p.on, f)
		close(undone)
	}
	p.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
	if f == outage {
		if !on {
			return p.listen()
		}
		p.close()
	}
	return nil
}

// during returns a channel that is closed when the fault is undone, nil if it is not on.
func (p *proxy) during(f fault) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.on[f]
}

// strikes reports whether the fault is on and chance wants it.
func (p *proxy) strikes(f fault, probability float64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.on[f] != nil && p.rng.Float64() < probability
}

func (p *proxy) random(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rng.IntN(n)
}

// wait blocks while the fault is on.
func (p *proxy) wait(ctx context.Context, f fault) {
	if undone := p.during(f); undone != nil {
		select {
		case <-undone:
		case <-ctx.Done():
		}
	}
}

// pause is the slowness.
func (p *proxy) pause(ctx context.Context) {
	if undone := p.during(slow); undone != nil {
		select {
		case <-time.After(time.Duration(p.random(int(slowness)))):
		case <-undone:
		case <-ctx.Done():
		}
	}
}

// ServeHTTP forwards a call. A panic with ErrAbortHandler ends the connection.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	p.wait(ctx, stall)
	if p.strikes(refuse, 0.7) {
		http.Error(w, `{"message":"the test does not want to"}`, http.StatusInternalServerError)
		return
	}
	if strings.Contains(r.URL.Path, "/containers/") && !strings.HasSuffix(r.URL.Path, "/containers/json") && p.strikes(hang, 0.7) {
		p.wait(ctx, hang)
	}
	out := r.Clone(ctx)
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", "engine", ""
	res, err := p.transport.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer res.Body.Close()
	for key, values := range res.Header {
		w.Header()[key] = values
	}
	if strings.HasSuffix(r.URL.Path, "/events") && res.StatusCode == http.StatusOK {
		w.WriteHeader(res.StatusCode)
		w.(http.Flusher).Flush()
		p.events(ctx, w, res.Body)
		panic(http.ErrAbortHandler) // a stream has no end but the connection's
	}
	p.answer(ctx, w, res)
}

// answer forwards an answer.
func (p *proxy) answer(ctx context.Context, w http.ResponseWriter, res *http.Response) {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	size, short := len(body), p.strikes(truncate, 0.5)
	if short {
		body = body[:p.random(size+1)]
		if p.random(2) == 0 { // else it ends as if it were whole
			size = len(body)
		}
	}
	w.Header().Del("Transfer-Encoding")
	w.Header().Set("Content-Length", strconv.Itoa(size))
	w.WriteHeader(res.StatusCode)
	for len(body) > 0 {
		n := len(body)
		if p.during(slow) != nil || p.during(stall) != nil {
			n = min(n, 1+p.random(1000))
		}
		if _, err := w.Write(body[:n]); err != nil {
			return
		}
		body = body[n:]
		if len(body) > 0 {
			w.(http.Flusher).Flush()
			p.pause(ctx)
			p.wait(ctx, stall)
		}
	}
	if short {
		panic(http.ErrAbortHandler)
	}
}

// calm reports whether no event is still to come late, nor has just come: until then the plugin can't
// know what was.
func (p *proxy) calm() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.late == 0 && time.Since(p.caught) > latest/2
}

// behind notes that n more events are late, or fewer.
func (p *proxy) behind(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late += n
	p.caught = time.Now()
}

// events forwards a stream of events until it ends.
func (p *proxy) events(ctx context.Context, w io.Writer, body io.Reader) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	messages := make(chan json.RawMessage)
	go func() {
		defer close(messages)
		for decoder := json.NewDecoder(body); ; {
			var m json.RawMessage
			if decoder.Decode(&m) != nil {
				return
			}
			select {
			case messages <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	var late []json.RawMessage // what others overtake
	defer func() { p.behind(-len(late)) }()
	for {
		var due <-chan time.Time
		if len(late) > 0 {
			due = time.After(time.Duration(1 + p.random(int(latest))))
		}
		var now []json.RawMessage
		select {
		case m, more := <-messages:
			switch {
			case !more:
				return
			case p.strikes(drop, 0.5):
				continue
			case p.strikes(reorder, 0.5):
				late = append(late, m)
				p.behind(1)
				continue
			}
			now = append(now, m)
			if p.strikes(duplicate, 0.5) {
				if p.random(2) == 0 {
					late = append(late, m)
					p.behind(1)
				} else {
					now = append(now, m)
				}
			}
		case <-due:
			i := p.random(len(late))
			now = append(now, late[i])
			late = append(late[:i:i], late[i+1:]...)
			p.behind(-1)
		case <-ctx.Done():
			return
		}
		for _, m := range now {
			if p.send(ctx, w, m) != nil {
				return
			}
		}
	}
}

var errShort = errors.New("cut in the middle")

// send writes one event.
func (p *proxy) send(ctx context.Context, w io.Writer, m json.RawMessage) error {
	p.pause(ctx)
	p.wait(ctx, stall)
	line := append(bytes.Clone(m), '\n')
	short := p.strikes(truncate, 0.2)
	if short {
		line = line[:p.random(len(line))]
	}
	_, err := w.Write(line)
	w.(http.Flusher).Flush()
	if err == nil && short {
		err = errShort
	}
	return err
}
