package runtime

// isSecret reports whether the value of a key is one, even where it was written down plainly.
func isSecret(path []string) bool {
	switch {
	case len(path) == 2 && path[0] == "gateway":
		return path[1] == "token"
	case len(path) == 2 && path[0] == "broker":
		return path[1] == "password" || path[1] == "token"
	case len(path) == 3 && path[0] == "gateway":
		return path[1] == "tokens"
	case len(path) == 3 && path[0] == "agents":
		return path[2] == "token"
	case len(path) == 4 && path[0] == "agents":
		return path[2] == "oauth" && path[3] == "client_secret"
	}
	return false
}

// secrets are the values of such keys.
func (c *Config) secrets() []string {
	out := []string{c.Broker.Password, c.Broker.Token}
	if g := c.Gateway; g != nil {
		out = append(out, g.Token)
		for _, token := range g.Tokens {
			out = append(out, token)
		}
	}
	for _, a := range c.Agents {
		out = append(out, a.Token, a.OAuth.ClientSecret)
	}
	return out
}
