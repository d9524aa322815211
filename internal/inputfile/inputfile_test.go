package inputfile_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/kubecred/kubecred/internal/inputfile"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := inputfile.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "text" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := inputfile.Open(t.Context(), dir); err == nil || err.Error() != "a directory, where a file is wanted" {
		t.Errorf("directory: %v", err)
	}
	if _, err := inputfile.Open(t.Context(), filepath.Join(dir, "none")); !os.IsNotExist(err) {
		t.Errorf("missing: %v", err)
	}
}
