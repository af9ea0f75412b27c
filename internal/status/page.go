package status

import "net/http"

func (s *Server) page(w http.ResponseWriter, r *http.Request)   {}
func (s *Server) events(w http.ResponseWriter, r *http.Request) {}
func (s *Server) asset(w http.ResponseWriter, r *http.Request)  {}
