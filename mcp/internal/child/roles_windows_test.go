package child

func platformRoles() map[string]func() { return nil }
