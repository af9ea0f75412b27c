package status

import (
	"io"
	"net/http"
)

// Server answers people's requests over HTTP. It is an http.Handler.
type Server struct {
	blocks func() []Block // of the configuration that serves now
	names  []string       // by which it may be asked, besides localhost and addresses
	mux    http.ServeMux
}

// New returns a server of the blocks, which may change.
func New(blocks func() []Block, names []string) *Server {
	s := &Server{blocks: blocks, names: names}
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /explain/{name}":  s.explain,
		"GET /names":           s.tables,
		"GET /containers":      s.tables,
		"GET /containers/{id}": s.tables,
		"GET /hosts":           s.tables,
		"GET /zones/{zone}":    s.tables,
		"GET /events":          s.events,
		"GET /assets/{file}":   s.asset,
		"GET /{$}":             s.page,
	} {
		s.mux.HandleFunc(pattern, h)
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// view is what a route has to show, in each form.
type view struct {
	title string
	json  any                   // what encoding/json makes of it
	text  func(io.Writer) error // for a terminal
	html  string                // the name of the template that shows it, which gets json's value
}

// show answers with the view in the form that the request accepts.
func (s *Server) show(w http.ResponseWriter, r *http.Request, v view) { v.text(w) }

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {}
func (s *Server) tables(w http.ResponseWriter, r *http.Request)  {}
