package guard

import (
	"errors"
	"io"
)

func serve(Mark, io.Reader) error { return errors.New("there is no guard on this platform") }
