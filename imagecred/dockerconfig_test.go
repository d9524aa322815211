package imagecred_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/imagecred"
)

func TestReadDockerConfig(t *testing.T) {
	tests := []struct{ name, text, want, err string }{
		{"config.json", `{"auths":{"reg.io":{"auth":"dTpwOnE="}},"credsStore":"x"}`, "file reg.io=u/p:q ignored credsStore", ""},
		{"no padding", `{"auths":{"reg.io":{"auth":"dTpw"}}}`, "file reg.io=u/p", ""},
		{"auth wins", `{"auths":{"reg.io":{"auth":"dTpw","username":"x","password":"y"}}}`, "file reg.io=u/p", ""},
		{"dockercfg", `{"https://reg.io/v1/":{"username":"u","password":"p"}}`, "file https://reg.io/v1/=u/p", ""},
		{"only helpers", `{"credHelpers":{"x":"ecr-login"}}`, "file ignored credHelpers", ""},
		{"secret", "kind: Secret\ntype: kubernetes.io/dockerconfigjson\nmetadata: {name: s}\ndata:\n  .dockerconfigjson: eyJhdXRocyI6eyJyZWcuaW8iOnsidXNlcm5hbWUiOiJ1IiwicGFzc3dvcmQiOiJwIn19fQ==\n", "imagePullSecret s reg.io=u/p", ""},
		{"secret, stringData", "kind: Secret\ntype: kubernetes.io/dockercfg\nmetadata: {name: s}\nstringData:\n  .dockercfg: '{\"reg.io\":{\"username\":\"u\",\"password\":\"p\"}}'\n", "imagePullSecret s reg.io=u/p", ""},
		{"opaque", "kind: Secret\ntype: Opaque\n", "", `a Secret of type "Opaque": the kubelet reads only kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg, and passes this one over`},
		{"empty secret", "kind: Secret\ntype: kubernetes.io/dockerconfigjson\n", "", "the Secret has no .dockerconfigjson, so the kubelet passes it over"},
		{"bad base64", "kind: Secret\ntype: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: '!'}\n", "", "the Secret's .dockerconfigjson is no base64"},
		{"bad auth", `{"auths":{"reg.io":{"auth":"hunter2"}}}`, "", "an auth in it is no base64 of user:password, so the kubelet drops the whole file"},
		{"auths in any case", `{"AUTHS":{"reg.io":{"USERNAME":"u","password":"p"}}}`, "file reg.io=u/p", ""},
		{"broken secret", "kind: Secret\ntype: kubernetes.io/dockerconfigjson\nmetadata: {name: s}\nstringData: {.dockerconfigjson: '{'}\n", "imagePullSecret s broken: unexpected end of JSON input", ""},
		{"secret with a bad auth", "kind: Secret\ntype: kubernetes.io/dockercfg\nmetadata: {name: s}\nstringData: {.dockercfg: '{\"reg.io\":{\"auth\":\"hunter2\"}}'}\n", "imagePullSecret s broken: unable to parse auth field, must be formatted as base64(username:password)", ""},
		{"text", "hunter2", "", "no JSON object, which a docker config is"},
		{"auths is a list", `{"auths":[]}`, "", "auths is not what it should be, so the kubelet drops the whole file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := imagecred.ReadDockerConfig("file", []byte(tt.text))
			if fmt.Sprint(err) != tt.err && (err != nil || tt.err != "") {
				t.Fatalf("error %v, want %s", err, tt.err)
			}
			if err != nil {
				return
			}
			got := d.Source
			for location, l := range d.Logins {
				got += " " + location + "=" + l.Username + "/" + l.Password.Reveal()
			}
			if d.Broken != "" {
				got += " broken: " + d.Broken
			}
			if len(d.Ignored) > 0 {
				got += " ignored " + strings.Join(d.Ignored, " ")
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestSecretDoesNotPrint(t *testing.T) {
	l := imagecred.Login{Username: "u", Password: "hunter2"}
	for _, s := range []string{fmt.Sprint(l), fmt.Sprintf("%+v", l), fmt.Sprintf("%#v", l), l.Password.String(), fmt.Sprintf("%q", l.Password)} {
		if strings.Contains(s, "hunter2") {
			t.Error(s)
		}
	}
}
