package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// challenge is one way in which a registry wants to be shown a login (RFC 9110,
// section 11.6.1).
type challenge struct {
	scheme string // lower case
	params map[string]string
}

// parseChallenges reads WWW-Authenticate headers. Schemes that it cannot read
// end the header.
func parseChallenges(headers []string) []challenge {
	var out []challenge
	for _, h := range headers {
		rest := strings.TrimSpace(h)
		for rest != "" {
			var c challenge
			c.scheme, rest, _ = strings.Cut(rest, " ")
			c.scheme = strings.ToLower(strings.TrimSuffix(c.scheme, ","))
			c.params = map[string]string{}
			rest = strings.TrimLeft(rest, " ,")
			for {
				name, value, after, ok := parameter(rest)
				if !ok {
					break
				}
				c.params[strings.ToLower(name)] = value
				rest = strings.TrimLeft(after, " ,")
			}
			out = append(out, c)
			if len(out) > 16 {
				return out
			}
		}
	}
	return out
}

// parameter reads name=value or name="value" from the beginning of s.
func parameter(s string) (name, value, rest string, ok bool) {
	name, after, found := strings.Cut(s, "=")
	if !found || name == "" || strings.ContainsAny(name, " ,\"") {
		return "", "", s, false
	}
	if !strings.HasPrefix(after, `"`) {
		end := strings.IndexAny(after, " ,")
		if end < 0 {
			end = len(after)
		}
		return name, after[:end], after[end:], true
	}
	var b strings.Builder
	for i := 1; i < len(after); i++ {
		switch after[i] {
		case '\\':
			if i++; i < len(after) {
				b.WriteByte(after[i])
			}
		case '"':
			return name, b.String(), after[i+1:], true
		default:
			b.WriteByte(after[i])
		}
	}
	return "", "", s, false
}

// authorize returns the value of the Authorization header that the challenges
// ask for, "" where they ask for a login and there is none.
func (a *Answer) authorize(ctx context.Context, client *http.Client, e Endpoint, image Image, challenges []challenge, login *Login) (string, error) {
	for _, c := range challenges {
		switch c.scheme {
		case "bearer":
			token, life, err := fetchToken(ctx, client, e, image, c.params, login)
			if err != nil {
				return "", err
			}
			a.Scheme, a.TokenLife = "token", life
			return "Bearer " + token, nil
		case "basic":
			if login == nil {
				return "", nil
			}
			a.Scheme = "basic"
			return basic(login), nil
		}
	}
	if len(challenges) == 0 {
		return "", errors.New("401 without a challenge, so a runtime does not know how to log in")
	}
	return "", fmt.Errorf("the registry wants %q, which no runtime speaks", challenges[0].scheme)
}

func basic(l *Login) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(l.Username+":"+l.Password))
}

// tokenAnswer is what a token server answers (the distribution project's
// specification of token authentication).
type tokenAnswer struct {
	Token       string `json:"token"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	Errors      []struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"errors"`
	Details string `json:"details"`
}

func fetchToken(ctx context.Context, client *http.Client, e Endpoint, image Image, params map[string]string, login *Login) (string, time.Duration, error) {
	realm, err := url.Parse(params["realm"])
	if err != nil || realm.Host == "" || realm.Scheme != "https" && realm.Scheme != "http" {
		return "", 0, errors.New("the registry names no token server that could be asked")
	}
	if e.Base.Scheme == "https" && realm.Scheme == "http" && login != nil {
		return "", 0, errors.New("the registry names a token server without TLS, which is not shown a login here: http://" + realm.Host)
	}
	query := realm.Query()
	if s := params["service"]; s != "" {
		query.Set("service", s)
	}
	scope := params["scope"]
	if scope == "" {
		scope = "repository:" + image.Path + ":pull"
	}
	query.Set("scope", scope)
	realm.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, realm.String(), nil)
	if err != nil {
		return "", 0, err
	}
	r.Header.Set("User-Agent", "kubecred")
	if login != nil {
		r.Header.Set("Authorization", basic(login))
	}
	response, err := client.Do(r)
	if err != nil {
		return "", 0, fmt.Errorf("asking the token server %s: %w", realm.Host, errors.New(reason(err)))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return "", 0, fmt.Errorf("asking the token server %s: %w", realm.Host, errors.New(reason(err)))
	}
	var answer tokenAnswer
	jsonErr := json.Unmarshal(body, &answer)
	if response.StatusCode != http.StatusOK {
		return "", 0, &statusError{response.StatusCode, tokenRefusal(realm.Host, response.StatusCode, answer)}
	}
	token := answer.Token
	if token == "" {
		token = answer.AccessToken
	}
	if jsonErr != nil || token == "" {
		return "", 0, &statusError{response.StatusCode, "the token server " + realm.Host + " answers without a token"}
	}
	return token, time.Duration(max(answer.ExpiresIn, 0)) * time.Second, nil
}

// tokenRefusal says why a token server refuses, in its own words where it has
// any.
func tokenRefusal(host string, code int, answer tokenAnswer) string {
	words := answer.Details
	if len(answer.Errors) > 0 {
		words = answer.Errors[0].Message
		if words == "" {
			words = answer.Errors[0].Code
		}
	}
	message := "the token server " + host + " refuses"
	if code >= 500 || code == http.StatusTooManyRequests {
		message = "the token server " + host + " is broken or busy"
	}
	if words = strings.Join(strings.Fields(words), " "); words != "" {
		if r := []rune(words); len(r) > 120 {
			words = string(r[:120]) + "..."
		}
		message += ": " + words
	}
	return message
}
