package descriptors

func limit() (of uint64, known bool) { return 0, false }
