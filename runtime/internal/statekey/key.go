// Package statekey finds the keys that sign what clients of protocol 2026-07-28 carry between the
// requests of a call. All processes of a project have the same, in this life and the next.
package statekey

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/openmas/openmas/internal/statedir"
)

// File is the name of the key in the state folder of the project.
const File = "request-state.key"

const size = sha256.Size

// A Source is where the keys of a project come from.
type Source struct {
	Project string
	// Secrets are those that the project sets, the one that signs first.
	Secrets []string
	// Dir is the state folder, where the key is without Secrets. It is made when it is first
	// needed.
	Dir string
	// Logger is told when there is no key to share, once.
	Logger *slog.Logger
}

// Keys returns what gives the keys, at least one and always the same. The first call of it finds
// them. It is safe for concurrent use.
//
// Where the folder cannot be used the key is one of this process alone: what a client carries from
// another process is refused then, as if it were forged.
func (s Source) Keys() func() [][]byte {
	return sync.OnceValue(func() [][]byte {
		if len(s.Secrets) > 0 {
			keys := make([][]byte, len(s.Secrets))
			for i, secret := range s.Secrets {
				keys[i] = derive(secret, s.Project)
			}
			return keys
		}
		secret, err := shared(s.Dir)
		if err != nil {
			s.Logger.Error("no key is shared with the other processes of the project: answers to questions of tools "+
				"are good at this process only, until it ends; mcp.request_state_keys sets a key", "error", err)
			secret = rand.Text()
		}
		return [][]byte{derive(secret, s.Project)}
	})
}

// derive makes a key of a secret: for this purpose and this project alone.
func derive(secret, project string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "openmas request state 1 "+project, size)
	if err != nil {
		panic(err) // only for a key that is too long
	}
	return key
}

// shared returns the secret in the folder. The first process that asks makes it, and of several at
// once one wins.
func shared(dir string) (string, error) {
	path := filepath.Join(dir, File)
	secret, err := read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if err := statedir.Make(dir); err != nil {
		return "", err
	}
	if err := create(dir, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return read(path)
}

// create writes a new secret, whole or not at all, unless there is one: a link does not replace
// what is there.
func create(dir, path string) error {
	f, err := os.CreateTemp(dir, File+".*") // mode 0600
	if err != nil {
		return err
	}
	secret := make([]byte, size)
	_, _ = rand.Read(secret) // never fails
	_, err = f.WriteString(hex.EncodeToString(secret) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), path)
	}
	return errors.Join(err, os.Remove(f.Name()))
}

// read returns the secret in a file that is its user's alone.
func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was read
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if err := checkOwner(info); err != nil {
		return "", fmt.Errorf("%s %w; remove it, and it is made anew", path, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if raw, err := hex.DecodeString(secret); err != nil || len(raw) != size {
		return "", fmt.Errorf("%s does not hold a key; remove it, and it is made anew", path)
	}
	return secret, nil
}
