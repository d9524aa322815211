//go:build unix

package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

func (l *Lab) startEtcd(ctx context.Context) error {
	return withFreePorts(func() error {
		client, err := freePort()
		if err != nil {
			return err
		}
		peer, err := freePort()
		if err != nil {
			return err
		}
		program, err := l.Program(ctx, "etcd")
		if err != nil {
			return err
		}
		l.etcdURL = fmt.Sprintf("http://127.0.0.1:%d", client)
		peerURL := fmt.Sprintf("http://127.0.0.1:%d", peer)
		p, err := l.run("etcd", program,
			"--data-dir", l.Path("etcd"),
			"--listen-client-urls", l.etcdURL, "--advertise-client-urls", l.etcdURL,
			"--listen-peer-urls", peerURL, "--initial-advertise-peer-urls", peerURL,
			"--initial-cluster", "default="+peerURL,
			"--unsafe-no-fsync", // nothing here has to survive a power cut
			"--log-level", "warn")
		if err != nil {
			return err
		}
		return p.waitFor(ctx, time.Minute, func(ctx context.Context) error { return get(ctx, http.DefaultClient, l.etcdURL+"/health") })
	})
}

// get asks an address and wants status 200.
func get(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", url, res.Status, lastLine(string(body)))
	}
	return nil
}
