// Package format is how hosts tell each other their facts: JSON documents, each of which says its version. docs/share.md
// describes them for who writes or reads them by other means.
//
// What is read was written by another host. All of it is checked and bounded here, so that no fact goes on that an engine
// could not have told.
package format

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Version is that of all documents. A change that older readers would take for something else needs a new one; a field that
// they may do without does not.
const Version = 1

// The bounds of what is told. What is larger is left out by who writes, and refused by who reads.
const (
	MaxLabel     = 4 << 10   // octets of a label's value; its key has as many at most
	MaxContainer = 64 << 10  // octets of a container's document
	MaxHost      = 512 << 10 // octets of a host's
	maxText      = 4 << 10   // octets of any other text
	maxList      = 4096      // items of any list
)

// ErrVersion is the error of a document of another version.
var ErrVersion = errors.New("unknown version")

// header is what tells how to read the rest.
type header struct {
	Version int `json:"version"`
}

// decode reads a document. Fields that are not known are left aside.
func decode(document []byte, maxSize int, into any) error {
	if len(document) > maxSize {
		return fmt.Errorf("%d octets, want %d at most", len(document), maxSize)
	}
	var h header
	if err := json.Unmarshal(document, &h); err != nil {
		return fmt.Errorf("no document of ours: %w", err)
	}
	if h.Version != Version {
		return fmt.Errorf("%w %d, want %d: this server is older than the one that has written it, or newer", ErrVersion, h.Version, Version)
	}
	return json.Unmarshal(document, into)
}

// encode writes a document.
func encode(document any, maxSize int) ([]byte, error) {
	b, err := json.Marshal(document)
	if err == nil && len(b) > maxSize {
		err = fmt.Errorf("its facts take %d octets, %d can be told", len(b), maxSize)
	}
	return b, err
}

// checks collects what is wrong with a document: the first error counts.
type checks struct{ err error }

func (c *checks) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *checks) text(what string, texts ...string) {
	for _, s := range texts {
		if len(s) > maxText {
			c.fail("%s has %d octets, want %d at most", what, len(s), maxText)
		}
	}
}

func (c *checks) list(what string, n int) {
	if n > maxList {
		c.fail("%d %s, want %d at most", n, what, maxList)
	}
}

// named gives values the words that stand for them in documents.
type named[V comparable] []struct {
	value V
	word  string
}

func (n named[V]) word(value V) string {
	for _, e := range n {
		if e.value == value {
			return e.word
		}
	}
	return ""
}

func (n named[V]) value(c *checks, what, word string) (value V) {
	for _, e := range n {
		if e.word == word {
			return e.value
		}
	}
	c.fail("%s %q is not known", what, word)
	return value
}
