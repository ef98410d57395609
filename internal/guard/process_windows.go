package guard

import "syscall"

const supported = false

func detached() *syscall.SysProcAttr { return nil }
