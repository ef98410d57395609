package statekey

import "os"

// checkOwner: the folder's access list protects the file.
func checkOwner(os.FileInfo) error { return nil }
