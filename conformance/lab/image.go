//go:build unix

package lab

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// PauseImage is the image that holds a pod's namespaces open, which every node has.
// Its program can also be a client of the API server (cmd/pause).
const PauseImage = "kubecred.lab/pause:1"

// pauseImage makes an image whose only file is cmd/pause.
func (l *Lab) pauseImage(ctx context.Context) (v1.Image, error) {
	program, err := l.tool(ctx, "pause")
	if err != nil {
		return nil, err
	}
	return once(l, "image "+PauseImage, func() (v1.Image, error) { return imageOf(program, "") })
}

// imageOf makes an image whose only file is a program, with variables in its
// environment.
func imageOf(program, user string, env ...string) (v1.Image, error) {
	file := filepath.Base(program)
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: file, Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		return nil, fmt.Errorf("lab: image: %w", err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("lab: image: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("lab: image: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint, config.Config.User, config.Config.Env = []string{"/" + file}, user, env
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, fmt.Errorf("lab: image: %w", err)
	}
	return image, nil
}

// writePause writes the pause image as an archive that `ctr images import` reads.
func (l *Lab) writePause(ctx context.Context, file string) error {
	image, err := l.pauseImage(ctx)
	if err != nil {
		return err
	}
	return writeImage(file, PauseImage, image)
}

func writeImage(file, named string, image v1.Image) error {
	tag, err := name.NewTag(named)
	if err != nil {
		return err
	}
	if err := tarball.WriteToFile(file, tag, image); err != nil {
		return fmt.Errorf("lab: image: %w", err)
	}
	return nil
}

// tool returns one of the lab's own small programs (conformance/cmd), built into
// the lab's directory.
func (l *Lab) tool(ctx context.Context, program string) (string, error) {
	return once(l, "tool "+program, func() (string, error) {
		path := l.Path("bin", program)
		if err := goBuild(ctx, sourceDir(), path, "-s -w", "./cmd/"+program); err != nil {
			return "", fmt.Errorf("lab: building %s: %w", program, err)
		}
		return path, nil
	})
}

// Issuer returns the path of the stand-in for programs that issue credentials
// (see cmd/issuer).
func (l *Lab) Issuer(ctx context.Context) (string, error) { return l.tool(ctx, "issuer") }
