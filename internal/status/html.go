package status

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

//go:embed html/*.html
var htmlFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// assets are what pages load, by its name in URLs. That has a hash of the content: a browser may keep it for ever.
var assets, assetURLs = readAssets()

func readAssets() (byName map[string][]byte, urls map[string]string) {
	byName, urls = map[string][]byte{}, map[string]string{}
	files, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // they are part of the program
	}
	for _, f := range files {
		content, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		ext := path.Ext(f.Name())
		name := strings.TrimSuffix(f.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		byName[name], urls[f.Name()] = content, "/assets/"+name
	}
	return byName, urls
}

// assetTypes are the media types of assets by the ends of their names.
var assetTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func (s *Server) asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	content, ok := assets[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", assetTypes[path.Ext(name)])
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(content)
}

// pages are the templates of whole pages, by the names that views have for them.
var pages = parsePages()

func parsePages() map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"asset":     func(name string) string { return assetURLs[name] },
		"class":     stateClass,
		"clock":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"link":      link,
		"explained": explained,
		"many":      many,
		"sentence":  sentence,
		"status":    (*Explanation).status,
		"type":      typeName,
		"path":      url.PathEscape,
		"stamp":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}).ParseFS(htmlFiles, "html/layout.html"))
	all := map[string]*template.Template{}
	files, err := htmlFiles.ReadDir("html")
	if err != nil {
		panic(err) // they are part of the program
	}
	for _, f := range files {
		if f.Name() != "layout.html" {
			all[strings.TrimSuffix(f.Name(), ".html")] = template.Must(template.Must(layout.Clone()).ParseFS(htmlFiles, "html/"+f.Name()))
		}
	}
	return all
}

// link returns the path with a query of the names and values that follow; empty values are left out.
func link(path string, pairs ...string) string {
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// explained leads to the explanation of the name.
func explained(name, from, block string) string {
	return link("/explain/"+url.PathEscape(strings.TrimSuffix(name, ".")), "from", from, "block", block)
}

// many says how many there are of what has the name.
func many(n int, name string) string {
	if n == 1 {
		return "1 " + name
	}
	return fmt.Sprintf("%d %ss", n, name)
}

// pageTypes are the types of DNS that the page proposes for a question.
var pageTypes = []string{"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"}

// document is what the template of a page gets.
type document struct {
	Title, Page string
	Data        any
	Query       url.Values // the request's
	url         *url.URL
	name        string // of which the path asks
}

// Nav has the pages to which all pages lead.
func (document) Nav() []navigation {
	return []navigation{{"front", "/", "Containers"}, {"names", "/names", "Names"}, {"hosts", "/hosts", "Hosts"}, {"explain", "/explain", "Explain"}}
}

type navigation struct{ Page, Path, Word string }

// Following leads to the part of a table that comes after the row.
func (d document) Following(after string) string {
	query := maps.Clone(d.Query)
	query.Set("after", after)
	return d.url.Path + "?" + query.Encode()
}

// asking is a question as a form shows it.
type asking struct {
	Name, Type, From, Block string
	Types                   []string // that are proposed
}

// Ask is the question that the request asks.
func (d document) Ask() asking {
	a := asking{cmp.Or(d.Query.Get("name"), d.name), cmp.Or(strings.ToUpper(d.Query.Get("type")), "A"), d.Query.Get("from"), d.Query.Get("block"), pageTypes}
	if !slices.Contains(a.Types, a.Type) {
		a.Types = append(slices.Clip(a.Types), a.Type)
	}
	return a
}

// html writes what there is to show as a page.
func (s *Server) html(w io.Writer, r *http.Request, v view) error {
	page := pages[v.html]
	if page == nil {
		return fmt.Errorf("no page %q", v.html)
	}
	return page.Execute(w, document{v.title, v.html, v.json, r.URL.Query(), r.URL, r.PathValue("name")})
}
