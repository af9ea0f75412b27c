package main

// choice is whether the lean binary has one of CoreDNS's plugins, and why. docs/packages.md shows all.
type choice struct {
	lean bool
	why  string // after the plugin's name and a colon
}

// choices are CoreDNS's plugins by their directives. The full binary has them all.
//
// The lean one leaves out what brings the client of a cloud, a cluster or a tracer, which weigh most and start slowest, and
// what has no use beside containers. Everything else stays: a plugin for DNS alone weighs some KiB.
var choices = map[string]choice{
	"azure":        {false, "zones of Microsoft Azure, by its client"},
	"clouddns":     {false, "zones of Google Cloud, by its client"},
	"route53":      {false, "zones of Amazon Web Services, by its client"},
	"kubernetes":   {false, "names of a Kubernetes cluster, by its client"},
	"k8s_external": {false, "names of a Kubernetes cluster for others, by *kubernetes*"},
	"nomad":        {false, "names of a Nomad cluster, by its client"},
	"etcd":         {false, "names that SkyDNS keeps in etcd, by its client; to share containers' names is another thing"},
	"trace":        {false, "traces of queries, by the clients of Datadog, Zipkin and OpenTelemetry"},
	"erratic":      {false, "wrong answers, for tests of resolvers"},
	"geoip":        {false, "where on Earth an address is, by a database that has to be bought or registered for"},

	"acl":         {true, "who may ask"},
	"any":         {true, "refuses queries of type ANY"},
	"auto":        {true, "zones from files that come and go"},
	"autopath":    {true, "search paths of the containers that ask"},
	"bind":        {true, "the addresses that are listened on"},
	"bufsize":     {true, "the size of answers by UDP"},
	"cache":       {true, "keeps what *forward* brings"},
	"cancel":      {true, "ends queries that take too long"},
	"chaos":       {true, "the server's version and authors, by DNS"},
	"debug":       {true, "crashes in place of recovery, for whoever looks for a fault"},
	"dns64":       {true, "IPv6 addresses for hosts that have IPv4 alone"},
	"dnssec":      {true, "signs the zones of containers; brings a client of Amazon's for keys that are kept there, 3.7 MiB"},
	"dnstap":      {true, "tells another program of queries; *forward* brings it anyway"},
	"dynupdate":   {true, "changes of a zone by DNS, as of a DHCP server's"},
	"errors":      {true, "logs errors"},
	"file":        {true, "zones from files, beside those of containers"},
	"forward":     {true, "asks other servers for all other names"},
	"grpc":        {true, "asks other servers by gRPC"},
	"grpc_server": {true, "DNS over gRPC; CoreDNS's server has it anyway"},
	"header":      {true, "changes the flags of answers"},
	"health":      {true, "tells by HTTP that the server runs"},
	"hosts":       {true, "names from a file as /etc/hosts"},
	"https":       {true, "DNS over HTTPS; CoreDNS's server has it anyway"},
	"https3":      {true, "DNS over HTTP/3; CoreDNS's server has it anyway"},
	"loadbalance": {true, "takes a service's containers in turns"},
	"local":       {true, "answers for localhost"},
	"log":         {true, "logs queries"},
	"loop":        {true, "stops a server that forwards to itself"},
	"metadata":    {true, "tells *log* and *view* of containers"},
	"minimal":     {true, "short answers"},
	"multisocket": {true, "more sockets for more load"},
	"nsid":        {true, "says which server has answered"},
	"on":          {true, "runs a command at the start"},
	"pprof":       {true, "profiles of the server"},
	"prometheus":  {true, "metrics"},
	"proxyproto":  {true, "who asks behind a proxy"},
	"quic":        {true, "DNS over QUIC; CoreDNS's server has it anyway"},
	"ready":       {true, "tells by HTTP that the containers are known"},
	"reload":      {true, "reads the Corefile anew when it changes"},
	"rewrite":     {true, "changes names in queries and answers"},
	"root":        {true, "the folder of zone files"},
	"secondary":   {true, "zones from other servers"},
	"shed":        {true, "drops queries under too much load"},
	"sign":        {true, "signs zone files"},
	"siit":        {true, "IPv4 addresses for hosts that have IPv6 alone"},
	"template":    {true, "answers by a pattern"},
	"timeouts":    {true, "ends connections that are idle"},
	"tls":         {true, "certificates, for DNS over TLS and HTTPS"},
	"transfer":    {true, "gives zones to secondary servers"},
	"tsig":        {true, "signatures of transfers"},
	"view":        {true, "server blocks by who asks"},
	"whoami":      {true, "tells who asks; CoreDNS serves it where there is no Corefile"},
}
