package dockerdiscovery

import (
	"fmt"
	"io"
	golog "log"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	_ "github.com/coredns/coredns/plugin/bind"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// A port that is taken is told with who has it.
func TestCheckListen(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	e := enginetest.New(t)
	free := freePort(t)
	_, tcpPort, _ := net.SplitHostPort(tcp.Addr().String())
	_, udpPort, _ := net.SplitHostPort(udp.LocalAddr().String())
	self := fmt.Sprintf("(process %d) has the port; end it", os.Getpid())
	if runtime.GOOS != "linux" {
		self = "has the port"
	}
	for _, c := range []struct{ keys, bind, want string }{
		{"docker.:" + tcpPort, "", "listen tcp :" + tcpPort + ": bind: address already in use: "},
		{"docker.:" + tcpPort, "127.0.0.1", self},
		{"docker.:" + udpPort, "", self},
		{"docker.:" + free + " lan.:" + udpPort, "127.0.0.1", self},
		{"tls://docker.:" + tcpPort, "127.0.0.1", self},
		{"docker.:" + free, "192.0.2.77", "no interface has this address"},
	} {
		corefile := fmt.Sprintf("%s {\n docker {\n endpoint %s\n }\n}", c.keys, e.Host())
		if c.bind != "" {
			corefile = strings.Replace(corefile, "{\n", "{\n bind "+c.bind+"\n", 1)
		}
		s, err := inprocess.Start(corefile)
		if err == nil {
			stop(t, s)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s bind %q: %v, want %q", c.keys, c.bind, err, c.want)
		}
	}
}

// Whoever has just installed the server and runs no container is told what to try, once.
func TestSuggest(t *testing.T) {
	e := enginetest.New(t)
	port := freePort(t)
	var logged strings.Builder
	golog.SetOutput(&logged)
	defer golog.SetOutput(io.Discard)
	corefile := func(more string) string {
		return fmt.Sprintf("docker.:%s {\n docker docker. {\n endpoint %s\n %s\n }\n}", port, e.Host(), more)
	}
	s := inprocess.Serve(t, corefile(""))
	if err := s.Reload(corefile("ttl 7")); err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	e.Run(enginetest.Spec{Name: "web"})
	stop(t, inprocess.Serve(t, corefile("")))
	golog.SetOutput(io.Discard)
	want := "docker run -d --name web nginx; dig @127.0.0.1 -p " + port + " web.docker\n"
	if n := strings.Count(logged.String(), want); n != 1 {
		t.Errorf("%d times %q in\n%s", n, want, logged.String())
	}
}
