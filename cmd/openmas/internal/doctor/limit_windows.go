package doctor

func descriptorLimit() (limit uint64, known bool) { return 0, false }
