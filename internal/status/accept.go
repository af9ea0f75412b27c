package status

import (
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
)

// form is a way to say what there is to say.
type form struct{ name, mediaType, contentType string }

var (
	textForm = &form{"text", "text/plain", "text/plain; charset=utf-8"}
	jsonForm = &form{"json", "application/json", "application/json"}
	htmlForm = &form{"html", "text/html", "text/html; charset=utf-8"}
)

// forms has those first that are given where a request takes several alike: curl takes anything, and gets text.
var forms = []*form{textForm, jsonForm, htmlForm}

// accepted returns the form that the request wants: by the parameter format, else by the field Accept.
func accepted(r *http.Request) (*form, *problem) {
	if name := r.URL.Query().Get("format"); name != "" {
		for _, f := range forms {
			if f.name == name {
				return f, nil
			}
		}
		return nil, problemf(http.StatusBadRequest, "'%s' is not a format; want text, json or html", clip(name))
	}
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if accept == "" {
		return textForm, nil
	}
	var best *form
	var most float64
	for _, f := range forms {
		if q := quality(accept, f.mediaType); q > most {
			best, most = f, q
		}
	}
	if best == nil {
		return nil, problemf(http.StatusNotAcceptable, "There is text/plain, application/json and text/html; the request accepts none of them")
	}
	return best, nil
}

// quality is how much the field Accept wants the media type, from 0, not at all, to 1: as the most specific range says that
// holds it, RFC 9110 §12.5.1. What can't be read is passed over.
func quality(accept, mediaType string) (q float64) {
	group, _, _ := strings.Cut(mediaType, "/")
	specific := 0
	for part := range strings.SplitSeq(accept, ",") {
		accepts, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		at := 0
		switch accepts {
		case mediaType:
			at = 3
		case group + "/*":
			at = 2
		case "*/*":
			at = 1
		}
		if at <= specific {
			continue
		}
		specific, q = at, 1
		if text, given := params["q"]; given {
			if q, err = strconv.ParseFloat(text, 64); err != nil || !(q >= 0 && q <= 1) {
				specific, q = 0, 0
			}
		}
	}
	return q
}

// printable returns a writer that shows control characters, and those that turn the direction of text, as signs: what is
// written comes from containers in part, and may be printed on a terminal. It must be closed.
func printable(w io.Writer) io.WriteCloser {
	return transform.NewWriter(w, runes.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return sign(r)
	}))
}

// inLine returns the text without control characters and line breaks.
func inLine(text string) string { return strings.Map(sign, text) }

// sign returns what stands for the character where it is one that a terminal obeys.
func sign(r rune) rune {
	const pictures = '\u2400' // Unicode's Control Pictures
	switch {
	case r < ' ':
		return pictures + r
	case r < '\x7f':
		return r
	case r == '\x7f':
		return '\u2421'
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
		return unicode.ReplacementChar
	default:
		return r
	}
}
