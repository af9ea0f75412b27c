package format

// Owner says who writes a host's keys.
type Owner struct {
	Engine string // identity of the host's engine, which outlives servers
	Server string // of one server's life
}

type ownerJSON struct {
	header
	Engine string `json:"engine"`
	Server string `json:"server"`
}

// EncodeOwner writes the document. The same owner's is the same, octet by octet: transactions compare it.
func EncodeOwner(o Owner) ([]byte, error) {
	return encode(ownerJSON{header{Version}, o.Engine, o.Server}, MaxHost)
}

// DecodeOwner reads the document.
func DecodeOwner(document []byte) (Owner, error) {
	var j ownerJSON
	err := decode(document, MaxHost, &j)
	return Owner{j.Engine, j.Server}, err
}
