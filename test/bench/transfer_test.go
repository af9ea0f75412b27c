package main

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// namesEach is how many owner names a container has in the forward zone.
const namesEach = 6

// wired counts the octets that go over a connection, both ways.
type wired struct {
	net.Conn
	octets *int
}

func (w wired) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	*w.octets += n
	return n, err
}

func (w wired) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	*w.octets += n
	return n, err
}

// take asks for a transfer, and returns the octets of messages both ways and the first SOA's serial.
func take(addr string, m *dns.Msg) (octets int, serial uint32, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, 0, err
	}
	ch, err := (&dns.Transfer{Conn: &dns.Conn{Conn: wired{conn, &octets}}}).In(m, addr)
	if err != nil {
		return 0, 0, err
	}
	for env := range ch {
		if env.Error != nil {
			err = errors.Join(err, env.Error)
		} else if serial == 0 {
			serial = env.RR[0].(*dns.SOA).Serial
		}
	}
	return octets, serial, err
}

// BenchmarkTransfer has a secondary take the start or the end of one container over: it asks for the serial, as after a NOTIFY, and then for
// what has changed. The octets are those of the messages, both ways; a NOTIFY and its answer are 24 octets each.
func BenchmarkTransfer(b *testing.B) {
	for _, names := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint("names=", names), func(b *testing.B) {
			e := enginetest.New(b)
			if err := e.RunHere(); err != nil {
				b.Fatal(err)
			}
			containers := names / namesEach
			for i := 0; i <= containers; i += perNetwork {
				e.AddNetwork(networkName(i), fmt.Sprintf("10.%d.0.0/16", i/perNetwork))
			}
			e.Populate(containers, spec)
			s, err := inprocess.Start(fmt.Sprintf("docker.:0 {\nbind 127.0.0.1\ndocker {\nendpoint %s\nhold 0s\n}\ntransfer {\nto *\n}\n}\n", e.Host()))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Stop()
			started := time.Now()
			udp, tcp, err := s.Addrs()
			if err != nil {
				b.Fatal(err)
			}
			soa := new(dns.Msg).SetQuestion("docker.", dns.TypeSOA)
			var wholeOctets int
			var serial uint32
			var took time.Duration
			for { // until all containers are known
				begin := time.Now()
				if wholeOctets, serial, err = take(tcp.String(), new(dns.Msg).SetAxfr("docker.")); err == nil {
					took = time.Since(begin)
					break
				} else if time.Since(started) > time.Minute {
					b.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond)
			}
			last := spec(containers)
			id, most := "", 0
			for b.Loop() {
				b.StopTimer()
				if id == "" {
					id = e.Run(last)
				} else {
					e.Remove(id)
					id = ""
				}
				for {
					r, err := dns.Exchange(new(dns.Msg).SetQuestion(last.Name+".docker.", dns.TypeA), udp.String())
					if err != nil {
						b.Fatal(err)
					}
					if (len(r.Answer) == 1) == (id != "") {
						break
					}
				}
				b.StartTimer()
				r, err := dns.Exchange(soa, udp.String())
				if err != nil || r.Answer[0].(*dns.SOA).Serial == serial {
					b.Fatalf("serial %d: %v\n%v", serial, err, r)
				}
				octets, got, err := take(tcp.String(), new(dns.Msg).SetIxfr("docker.", serial, "ns.dns.docker.", "hostmaster.docker."))
				if err != nil {
					b.Fatal(err)
				}
				serial, most = got, max(most, soa.Len()+r.Len()+octets)
			}
			b.ReportMetric(float64(most), "octets")
			b.ReportMetric(float64(wholeOctets), "whole-octets")
			b.ReportMetric(float64(took.Nanoseconds()), "whole-ns")
			runtime.KeepAlive(e)
		})
	}
}
