package status

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
)

// html writes what there is to show as a page.
func (s *Server) html(w io.Writer, v view) error {
	var text strings.Builder
	if err := v.text(&text); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>%s</title><pre>%s</pre></html>\n",
		html.EscapeString(v.title), html.EscapeString(text.String()))
	return err
}

func (s *Server) events(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }
func (s *Server) asset(w http.ResponseWriter, r *http.Request)  { http.NotFound(w, r) }
