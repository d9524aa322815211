package broker

import (
	"strconv"
	"time"

	"github.com/kubecred/kubecred/internal/plainjson"
)

// encode writes an outcome as its line of the journal.
func (o Outcome) encode() []byte {
	b := []byte("{")
	add := func(name string, value []byte) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(plainjson.AppendString(b, name), ':'), value...)
	}
	text := func(name, value string) {
		if value != "" {
			add(name, plainjson.AppendString(nil, value))
		}
	}
	flag := func(name string, value bool) {
		if value {
			add(name, []byte("true"))
		}
	}
	text("time", o.Time.Format(time.RFC3339Nano))
	text("image", o.Image)
	text("registry", o.Registry)
	text("issuer", o.Issuer)
	text("serviceAccount", o.ServiceAccount)
	add("ok", strconv.AppendBool(nil, o.OK))
	flag("stale", o.Stale)
	add("seconds", strconv.AppendFloat(nil, o.Seconds, 'f', -1, 64))
	flag("empty", o.Empty)
	text("error", o.Error)
	text("warning", o.Warning)
	return append(b, '}')
}

// decodeOutcome reads a line of the journal.
func decodeOutcome(line []byte) (Outcome, bool) {
	all, ok := object(line)
	if !ok {
		return Outcome{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, plainText(all["time"]))
	if err != nil {
		return Outcome{}, false
	}
	seconds, err := strconv.ParseFloat(string(all["seconds"]), 64)
	if err != nil {
		return Outcome{}, false
	}
	isSet := func(name string) bool { return string(all[name]) == "true" }
	return Outcome{
		Time: at, Image: plainText(all["image"]), Registry: plainText(all["registry"]), Issuer: plainText(all["issuer"]),
		ServiceAccount: plainText(all["serviceAccount"]), OK: isSet("ok"), Stale: isSet("stale"), Seconds: seconds, Empty: isSet("empty"),
		Error: plainText(all["error"]), Warning: plainText(all["warning"]),
	}, true
}
