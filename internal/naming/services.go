package naming

import "strings"

// serviceTable are names of IANA's registry (RFC 6335) for the ports that containers
// serve, each where the registered service is the one that is met there: what IANA has
// at 9200 is a protocol of old telephones, and at 3000 one of German banks.
const serviceTable = `
echo 7/tcp 7/udp
discard 9/tcp 9/udp
daytime 13/tcp 13/udp
chargen 19/tcp 19/udp
ftp-data 20/tcp
ftp 21/tcp
ssh 22/tcp
telnet 23/tcp
smtp 25/tcp
time 37/tcp 37/udp
tacacs 49/tcp 49/udp
domain 53/tcp 53/udp
bootps 67/udp
bootpc 68/udp
tftp 69/udp
gopher 70/tcp
finger 79/tcp
http 80/tcp 80/udp 80/sctp
kerberos 88/tcp 88/udp
pop3 110/tcp
sunrpc 111/tcp 111/udp
auth 113/tcp
nntp 119/tcp
ntp 123/udp
epmap 135/tcp
netbios-ns 137/udp
netbios-dgm 138/udp
netbios-ssn 139/tcp
imap 143/tcp
snmp 161/tcp 161/udp
snmptrap 162/tcp 162/udp
bgp 179/tcp
z3950 210/tcp
ptp-event 319/udp
ptp-general 320/udp
rpki-rtr 323/tcp
ldap 389/tcp 389/udp
svrloc 427/tcp 427/udp
https 443/tcp 443/udp 443/sctp
microsoft-ds 445/tcp
kpasswd 464/tcp 464/udp
submissions 465/tcp
isakmp 500/udp
shell 514/tcp
syslog 514/udp
printer 515/tcp
dhcpv6-client 546/udp
dhcpv6-server 547/udp
afpovertcp 548/tcp
rtsp 554/tcp 554/udp
nntps 563/tcp
submission 587/tcp
ipp 631/tcp
ldaps 636/tcp
tinc 655/tcp 655/udp
epp 700/tcp
kerberos-adm 749/tcp
netconf-ssh 830/tcp
domain-s 853/tcp 853/udp
iscsi 860/tcp
rsync 873/tcp
ftps-data 989/tcp
ftps 990/tcp
telnets 992/tcp
imaps 993/tcp
ircs 994/tcp
pop3s 995/tcp
socks 1080/tcp
rmiregistry 1099/tcp
openvpn 1194/tcp 1194/udp
ms-sql-s 1433/tcp
ms-sql-m 1434/udp
h323hostcall 1720/tcp
pptp 1723/tcp
radius 1812/tcp 1812/udp
radius-acct 1813/tcp 1813/udp
mqtt 1883/tcp
ssdp 1900/udp
macromedia-fcs 1935/tcp
nfs 2049/tcp 2049/udp 2049/sctp
radsec 2083/tcp
gtp-control 2123/udp
gtp-user 2152/udp
docker 2375/tcp
docker-s 2376/tcp
swarm 2377/tcp
etcd-client 2379/tcp
etcd-server 2380/tcp
cvspserver 2401/tcp
dict 2628/tcp
m2ua 2904/sctp
m3ua 2905/sctp
gpsd 2947/tcp
gds-db 3050/tcp
icpv2 3130/udp
iscsi-target 3260/tcp
msft-gc 3268/tcp
msft-gc-ssl 3269/tcp
mysql 3306/tcp
ms-wbt-server 3389/tcp 3389/udp
stun 3478/tcp 3478/udp
nut 3493/tcp
teredo 3544/udp
distcc 3632/tcp
daap 3689/tcp
svn 3690/tcp
diameter 3868/tcp 3868/sctp
sieve 4190/tcp
epmd 4369/tcp
ntske 4460/tcp
ipsec-nat-t 4500/udp
iax 4569/udp
ipfix 4739/tcp 4739/udp 4739/sctp
vxlan 4789/udp
munin 4949/tcp
sip 5060/tcp 5060/udp 5060/sctp
sips 5061/tcp 5061/udp 5061/sctp
xmpp-client 5222/tcp
xmpp-server 5269/tcp
xmpp-bosh 5280/tcp
stuns 5349/tcp 5349/udp
nat-pmp 5351/udp
mdns 5353/udp
postgresql 5432/tcp
nrpe 5666/tcp
amqps 5671/tcp
amqp 5672/tcp 5672/sctp
coap 5683/tcp 5683/udp
coaps 5684/tcp 5684/udp
rfb 5900/tcp
couchdb 5984/tcp
wsman 5985/tcp
wsmans 5986/tcp
x11 6000/tcp
sflow 6343/udp
redis 6379/tcp
mysql-proxy 6446/tcp
netconf-tls 6513/tcp
syslog-tls 6514/tcp 6514/udp
sane-port 6566/tcp
ovsdb 6640/tcp
openflow 6653/tcp
ircu 6667/tcp
babel 6696/udp
ircs-u 6697/tcp
http-alt 8008/tcp 8080/tcp
puppet 8140/tcp
pfcp 8805/udp
secure-mqtt 8883/tcp
bacula-dir 9101/tcp
bacula-fd 9102/tcp
bacula-sd 9103/tcp
git 9418/tcp
zabbix-agent 10050/tcp
zabbix-trapper 10051/tcp
nbd 10809/tcp
dicom 11112/tcp
memcache 11211/tcp 11211/udp
hkp 11371/tcp
mongodb 27017/tcp
mysqlx 33060/tcp
s1-control 36412/sctp
ng-control 38412/sctp
`

// serviceNames are the names by port, as in "80/tcp".
var serviceNames = func() map[string]string {
	names := map[string]string{}
	for line := range strings.Lines(serviceTable) {
		fields := strings.Fields(line)
		for _, port := range fields[min(1, len(fields)):] {
			names[port] = fields[0]
		}
	}
	return names
}()
