// Command man makes the manual pages from the Markdown that people read elsewhere, so that nothing is written twice.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"

	"github.com/dockerdiscovery/dockerdiscovery/internal/command"
)

// program is what the packages call the binary.
const program = "dockerdiscovery"

// pages are the manual pages, by their files' names, and the Markdown that they are made from.
var pages = map[string]string{
	program + ".1":        "dockerdiscovery.1.md",
	program + "-docker.7": "../../plugin/dockerdiscovery/README.md",
}

func main() {
	if err := write(os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

// write writes all pages into a folder.
func write(args []string, epoch string) error {
	if len(args) != 1 {
		return errors.New("want the folder for the pages")
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH is '%s': want the pages' date, in seconds since 1970", epoch)
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	for file, source := range pages {
		markdown, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(args[0], file), page(file, string(markdown), time.Unix(seconds, 0).UTC()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

var (
	title   = regexp.MustCompile(`\A# .*\n`)
	name    = regexp.MustCompile(`(?m)^\*\S+\* - `)
	section = regexp.MustCompile(`(?m)^## .*`)
	image   = regexp.MustCompile(`(?m)^!\[.*\n`)
	link    = regexp.MustCompile(`\[([^]]+)\]\(([^)]+)\)`)
	help    = regexp.MustCompile(`(?m)^HELP\n`)
	item    = regexp.MustCompile(`(?m)^  (\S)`)
	table   = regexp.MustCompile(`(?ms)^\.TS\n.*?^\.TE\n`)
	font    = regexp.MustCompile(`\\f.`)
	code    = regexp.MustCompile("(?ms)^~~~.*?^~~~\n")
)

// page returns the manual page with the file's name that the Markdown makes.
func page(file, markdown string, date time.Time) []byte {
	called, number, _ := strings.Cut(file, ".")
	head := fmt.Sprintf("%% %q %q %q %q %q\n", strings.ToUpper(called), number, date.Format(time.DateOnly), program, "User Manuals")
	text := title.ReplaceAllString(markdown, "")
	text = name.ReplaceAllString(text, called+" - ") // as apropos wants it
	text = help.ReplaceAllLiteralString(text, "~~~\n"+usage()+"~~~\n")
	var made strings.Builder
	made.WriteString(head)
	for text != "" { // code is left as it is
		at := code.FindStringIndex(text)
		if at == nil {
			at = []int{len(text), len(text)}
		}
		made.WriteString(prose(text[:at[0]]))
		made.WriteString(text[at[0]:at[1]])
		text = text[at[1]:]
	}
	return table.ReplaceAllFunc(md2man.Render([]byte(made.String())), narrow)
}

// maxCell is how long a cell of a table may be on one line, in characters: three of them and the lines between fit on a terminal.
const maxCell = 20

// narrow has a table's long cells broken into lines, so that it fits on a terminal. go-md2man does so for those alone that are
// longer still, and begin without markup.
func narrow(table []byte) []byte {
	head, body, _ := strings.Cut(string(table), " .\n") // the columns
	lines, inBlock := strings.Split(body, "\n"), false
	for i, line := range lines {
		if inBlock && !strings.HasPrefix(line, "T}") {
			continue
		}
		cells := strings.Split(line, "\t")
		inBlock = cells[len(cells)-1] == "T{"
		for j, cell := range cells {
			if len(font.ReplaceAllString(cell, "")) > maxCell {
				cells[j] = "T{\n" + cell + "\nT}"
			}
		}
		lines[i] = strings.Join(cells, "\t")
	}
	return []byte(head + " .\n" + strings.Join(lines, "\n"))
}

// prose returns Markdown without what a manual page can't show: pictures, and links that lead to another file.
func prose(text string) string {
	text = section.ReplaceAllStringFunc(text, strings.ToUpper)
	text = image.ReplaceAllString(text, "")
	text = link.ReplaceAllStringFunc(text, func(l string) string {
		if part := link.FindStringSubmatch(l); !strings.Contains(part[2], "://") {
			return part[1]
		}
		return l
	})
	return item.ReplaceAllString(text, "    $1") // what go-md2man takes for a list's item goes on at four blanks
}

// usage returns what the sub-command says of itself.
func usage() string {
	var out bytes.Buffer
	command.Run(program, []string{"--help"}, &out, os.Stderr)
	return out.String()
}
