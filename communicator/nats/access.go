package nats

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// brokerFile, in the state folder, tells the other processes of the project where the embedded
// broker is, and lets them in. It is readable by its user alone.
const brokerFile = "broker.json"

// An access is the content of the file.
type access struct {
	URL   string `json:"url"`
	User  string `json:"user"`
	Token string `json:"token"`
	PID   int    `json:"pid"`
	// Started tells the process apart from a later one with its number; 0: that is not known here.
	Started uint64 `json:"started,omitempty"`
}

// newToken has 130 bits.
func newToken() string { return rand.Text() }

func (a *access) write(dir string) error {
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", brokerFile, err)
	}
	f, err := os.CreateTemp(dir, brokerFile+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", brokerFile, err)
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, brokerFile))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", brokerFile, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// readAccess returns nil when there is none (yet).
func readAccess(dir string) (*access, error) {
	path := filepath.Join(dir, brokerFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if readableByOthers(info) {
		return nil, fmt.Errorf("%s has mode %v: other users can read its token; remove it", path, info.Mode().Perm())
	}
	if ofAnother(info) { // who could write it leads everybody to a broker of their own
		return nil, fmt.Errorf("%s belongs to another user; remove it", path)
	}
	var a access
	if err := json.NewDecoder(f).Decode(&a); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &a, nil
}

func removeAccess(dir string) error {
	if err := os.Remove(filepath.Join(dir, brokerFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
