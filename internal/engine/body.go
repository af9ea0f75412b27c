package engine

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Bounds of what an engine says, in octets. Whoever may start a container may have it say much.
const (
	// usualAnswer is room for an inspect's.
	usualAnswer = 8 << 10
	// Of answers that are larger than largeAnswer one at a time is read.
	largeAnswer = 64 << 10
	// maxAnswer is what is read of an answer about one thing.
	maxAnswer = 4 << 20
	// maxValue is what is kept of an event or of an entry in a list. It holds what comes before the labels.
	maxValue = 64 << 10
	// A string in an event or an entry that is longer than maxString is read as an empty one: most are labels, which are
	// of no use there, and what comes after them is.
	maxString = 4 << 10
	// maxSkipped is how long an event or an entry may be at all.
	maxSkipped = 256 << 20
	// maxEntries is how many a list may have.
	maxEntries = 1 << 20
	// maxDepth is how deep values may be nested: as deep as the decoder takes.
	maxDepth = 10000
)

// errTooLarge says that a whole answer is more than is read of one.
var errTooLarge = fmt.Errorf("the engine's answer is larger than %d octets", maxAnswer)

// taking is a transport that gives the body of a good answer to whoever is named by the request's context, and has
// the client read something else instead.
type taking struct{ http.RoundTripper }

type takeIn struct{} // the context's key of a *taken

// insteadOf is the context's key of the path that a call of /networks is made to.
type insteadOf struct{}

var apiPath = regexp.MustCompile(`/v[0-9.]+/networks$`)

type taken struct {
	body    io.ReadCloser // nil without a good answer
	date    string        // the answer's, by the engine's clock
	instead string        // what the client reads
	failed  error         // why there is no answer: the client keeps no more of it than the words
}

func (t *taken) close() {
	if t.body != nil {
		t.body.Close()
	}
}

func (t taking) RoundTrip(r *http.Request) (*http.Response, error) {
	if path, ok := r.Context().Value(insteadOf{}).(string); ok {
		if prefix := apiPath.FindString(r.URL.Path); prefix != "" { // else it negotiates the version
			r = r.Clone(r.Context())
			r.URL.Path = strings.TrimSuffix(r.URL.Path, prefix) + path
		}
	}
	resp, err := t.RoundTripper.RoundTrip(r)
	into, ok := r.Context().Value(takeIn{}).(*taken)
	if !ok {
		return resp, err
	}
	into.close() // of the version's negotiation
	into.body, into.failed = nil, err
	if err == nil && resp.StatusCode == http.StatusOK {
		into.date = resp.Header.Get("Date")
		into.body, resp.Body = resp.Body, io.NopCloser(strings.NewReader(into.instead))
	}
	return resp, err
}

// take makes a call and returns the answer's body, which the caller closes. The client would decode all: that takes
// longer, knows no bound, and one field that it can't read costs it the whole answer.
func take(ctx context.Context, call func(context.Context) error) (io.ReadCloser, error) {
	t := &taken{instead: "null"}
	err := call(context.WithValue(ctx, takeIn{}, t))
	if err == nil && t.body == nil {
		err = errors.New("the engine's answer is none")
	}
	if err != nil {
		t.close()
		return nil, cmp.Or(t.failed, err)
	}
	return t.body, nil
}

// read makes a call and decodes the answer into what has only the fields that are of use here.
func (d *docker) read(ctx context.Context, call func(context.Context) error, into any) error {
	body, err := take(ctx, call)
	if err != nil {
		return err
	}
	defer body.Close()
	var buf bytes.Buffer
	buf.Grow(usualAnswer)
	if _, err := io.CopyN(&buf, body, largeAnswer); err == io.EOF {
		return json.Unmarshal(buf.Bytes(), into)
	} else if err != nil {
		return err
	}
	var room []byte // which all share, since garbage of this size would pile up
	select {
	case room = <-d.large:
		defer func() { d.large <- room }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if room == nil {
		room = make([]byte, maxAnswer)
	}
	n, err := io.ReadFull(body, room[copy(room, buf.Bytes()):])
	if err == nil {
		return errTooLarge
	} else if err != io.ErrUnexpectedEOF && err != io.EOF {
		return err
	}
	return json.Unmarshal(room[:buf.Len()+n], into)
}

// readList makes a call and gives each entry of the list that is answered, one at a time, to the function. Of one that
// is too large it gives the beginning.
func readList(ctx context.Context, call func(context.Context) error, each func(entry []byte) error) error {
	body, err := take(ctx, call)
	if err != nil {
		return err
	}
	defer body.Close()
	v := newValues(body)
	if list, err := v.open(); err != nil || !list {
		return err
	}
	for range maxEntries {
		entry, err := v.next()
		if err == io.EOF && v.closed {
			return nil
		} else if err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		if err == nil {
			err = each(entry)
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("the engine's list has more than %d entries", maxEntries)
}

// values reads JSON values one after the other, and holds no more than maxValue of any, and maxString of a string in it.
type values struct {
	r      *bufio.Reader
	text   []byte
	closed bool // the end of the list has been read
	cut    bool // the text is only the first part of the value
	begin  int  // of the last string's inside, in the text
}

func newValues(r io.Reader) *values { return &values{r: bufio.NewReaderSize(r, 16<<10)} }

// open reads the beginning of a list, and reports whether there is one: null is an empty one.
func (v *values) open() (bool, error) {
	c, err := v.skip()
	if err == nil && c == '[' {
		return true, nil
	}
	if err == nil {
		var text []byte
		if err = v.r.UnreadByte(); err == nil {
			text, err = v.next()
		}
		if err == nil && string(text) != "null" {
			err = errors.New("the engine's answer is not a list")
		}
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return false, err
}

// skip returns the first octet that is no blank or comma.
func (v *values) skip() (byte, error) {
	for {
		c, err := v.r.ReadByte()
		if err != nil || strings.IndexByte(" \t\r\n,", c) < 0 {
			return c, err
		}
	}
}

// next returns the next value, which is good until the following call. Of one that is longer than maxValue it returns
// as much as stands in its first part, as a whole value. The error is io.EOF after the last one.
func (v *values) next() ([]byte, error) {
	c, err := v.skip()
	if err == nil && c == ']' {
		v.closed = true
		return nil, io.EOF
	} else if err != nil {
		return nil, err
	}
	v.text, v.cut = v.text[:0], false
	depth, quoted, escaped := 0, false, false
	for n := 0; ; n++ {
		switch {
		case err == io.EOF && depth == 0 && !quoted: // a number or word that nothing follows
			return v.whole(), nil
		case err == io.EOF:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case depth > maxDepth || n > maxSkipped:
			return nil, fmt.Errorf("what the engine says is nested deeper than %d levels or longer than %d octets", maxDepth, maxSkipped)
		case depth == 0 && !quoted && n > 0 && strings.IndexByte(" \t\r\n,]", c) >= 0: // a number's or word's end
			if err := v.r.UnreadByte(); err != nil {
				return nil, err
			}
			return v.whole(), nil
		}
		v.keep(c, quoted, quoted && c == '"' && !escaped)
		ends := false
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = c == '\\', c != '"'
			ends = !quoted
		case c == '"':
			quoted, v.begin = true, len(v.text)
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
			ends = true
		}
		if ends && depth <= 0 {
			return v.whole(), nil
		}
		c, err = v.r.ReadByte()
	}
}

// keep adds an octet to the text, quoted if it lies in a string or is what ends it.
func (v *values) keep(c byte, quoted, ends bool) {
	long := quoted && len(v.text)-v.begin > maxString
	switch {
	case v.cut, long && !ends:
		return
	case long:
		v.text = v.text[:v.begin]
	case len(v.text) == maxValue:
		v.cut = true
		return
	}
	v.text = append(v.text, c)
}

// whole returns the text that was read of a value.
func (v *values) whole() []byte {
	if v.cut {
		return beginning(v.text)
	}
	return v.text
}

// beginning returns what stands complete in the text, which is the first part of a JSON value, and closes it.
func beginning(text []byte) []byte {
	var open []byte // the closers of what is open, and ':' where a value is to follow its key
	end := 0        // of what is complete
	dec := json.NewDecoder(bytes.NewReader(text))
	for {
		token, err := dec.Token()
		if err != nil {
			break
		}
		top := len(open) - 1
		delim, _ := token.(json.Delim)
		if delim == '}' || delim == ']' {
			open = open[:top]
			top--
		} else if top >= 0 && open[top] == '}' { // a key, which is nothing without its value
			open = append(open, ':')
			continue
		}
		switch {
		case delim == '{':
			open = append(open, '}')
		case delim == '[':
			open = append(open, ']')
		case top >= 0 && open[top] == ':': // its value is complete
			open = open[:top]
		}
		end = int(dec.InputOffset())
	}
	whole := append([]byte(nil), text[:end]...)
	for _, closer := range slices.Backward(open) {
		if closer != ':' {
			whole = append(whole, closer)
		}
	}
	return whole
}
