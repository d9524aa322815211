package leanhttp

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/url"
)

// Tunnel asks the HTTP proxy at the other end of c for a tunnel to address, HOST:PORT
// (RFC 9110, section 9.3.6). User and password of the proxy's URL go with it. The
// deadlines are c's; its errors name the proxy's host, never the password.
func Tunnel(c net.Conn, address string, proxy *url.URL) error {
	ask := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if proxy.User != nil {
		password, _ := proxy.User.Password()
		ask += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(proxy.User.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(c, ask+"\r\n"); err != nil {
		return fmt.Errorf("the proxy %s: %w", proxy.Host, err)
	}
	in := bufio.NewReader(io.LimitReader(c, maxHead))
	resp, err := readHead(in)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	switch {
	case err != nil:
		return fmt.Errorf("the proxy %s: %w", proxy.Host, err)
	case resp.Status != 200:
		return fmt.Errorf("the proxy %s answers CONNECT with status %d", proxy.Host, resp.Status)
	case in.Buffered() > 0: // who is asked for a tunnel does not speak first in it
		return fmt.Errorf("the proxy %s sends more than an answer", proxy.Host)
	}
	return nil
}
