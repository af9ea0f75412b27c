package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// question is what is asked. Its class is IN.
type question struct {
	name  string
	qtype uint16
}

// writeQuestions makes dnsperf's data file.
func writeQuestions(path string, qs []question) error {
	var b bytes.Buffer
	for _, q := range qs {
		fmt.Fprintln(&b, q.name, dns.TypeToString[q.qtype])
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// load is how dnsperf asks.
type load struct {
	data      string // file of questions, asked over and over
	seconds   int
	rate      int  // queries a second; 0: as many as are answered
	latencies bool // of each query
	cpu       int  // where it runs; negative: anywhere
	from      int  // local port: always the same, so that connection tracking has one entry for all slices
}

// slice is what one run of dnsperf tells.
type slice struct {
	completed int
	perSecond float64
	rcodes    map[string]int
	latencies []time.Duration // sorted; if they were asked for
}

// dnsperf asks the server at the address; prefix is a command that runs dnsperf as its own arguments say, or nothing.
func dnsperf(server string, l load, prefix ...string) (slice, error) {
	ip, port, err := net.SplitHostPort(server)
	if err != nil {
		return slice{}, err
	}
	args := slices.Concat(onCPU(l.cpu), prefix, []string{"dnsperf", "-s", ip, "-p", port, "-x", strconv.Itoa(l.from),
		"-d", l.data, "-l", strconv.Itoa(l.seconds), "-c", "1", "-T", "1"})
	if l.rate > 0 {
		args = append(args, "-Q", strconv.Itoa(l.rate))
	}
	if l.latencies {
		args = append(args, "-v")
	}
	cmd := exec.Command(args[0], args[1:]...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return slice{}, fmt.Errorf("%s: %w: %s", cmd, err, out)
	}
	return parse(out)
}

var (
	summaryLine = regexp.MustCompile(`^ *(Queries sent|Queries completed|Queries lost|Queries per second): +([0-9.]+)`)
	rcodesLine  = regexp.MustCompile(`^ *Response codes: +(.*)$`)
	rcodeCount  = regexp.MustCompile(`([A-Z0-9]+) ([0-9]+) \(`)
)

// parse reads dnsperf's output. A slice in which a query was not answered measures something else, and
// is an error.
func parse(output []byte) (slice, error) {
	s := slice{rcodes: map[string]int{}}
	found := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(output)); lines.Scan(); {
		line := lines.Text()
		if m := summaryLine.FindStringSubmatch(line); m != nil {
			n, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return s, err
			}
			found[m[1]] = n
		} else if m := rcodesLine.FindStringSubmatch(line); m != nil {
			for _, m := range rcodeCount.FindAllStringSubmatch(m[1], -1) {
				n, err := strconv.Atoi(m[2])
				if err != nil {
					return s, err
				}
				s.rcodes[m[1]] = n
			}
		} else if rest, ok := strings.CutPrefix(line, "> "); ok { // RCODE NAME TYPE SECONDS
			fields := strings.Fields(rest)
			seconds, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			if err != nil {
				return s, fmt.Errorf("dnsperf: %s", line)
			}
			s.latencies = append(s.latencies, time.Duration(seconds*1e9))
		}
	}
	s.completed, s.perSecond = int(found["Queries completed"]), found["Queries per second"]
	if s.completed == 0 || found["Queries lost"] > 0 || found["Queries sent"] != found["Queries completed"] {
		return s, fmt.Errorf("dnsperf: not all queries were answered:\n%s", output)
	}
	slices.Sort(s.latencies)
	return s, nil
}

// percentile of the latencies, in microseconds.
func (s *slice) percentile(p float64) float64 {
	us := make([]float64, len(s.latencies))
	for i, l := range s.latencies {
		us[i] = float64(l) / 1e3
	}
	return quantile(us, p)
}
