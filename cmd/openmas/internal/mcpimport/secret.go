package mcpimport

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// What is taken for a secret is taken out, rather once too often: a reference to a variable does no
// harm, a token in a file that somebody commits does.

var (
	// secretWord ends the words of names that stand for secrets: apiKey, GITHUB_TOKEN,
	// --client-secret.
	secretWord = regexp.MustCompile(`(?i)(key|token|secret|passw(or)?d|passwd|passphrase|passcode|pwd|pass|pat|` +
		`credentials?|creds|auth|authorization|bearer|cookies?|dsn|jwt|otp|sig|signature|salt|webhook|session|` +
		`private|connection_?string|conn_?str)$`)
	// harmlessName is one whose last word says that its value is no secret: --auth-type,
	// TOKEN_FILE.
	harmlessName = regexp.MustCompile(`(?i)(type|mode|method|scheme|file|path|dir|name|id|header|limit|count|size|` +
		`max|min|ttl|timeout|endpoint|host|port|url|uri|version)$`)
	// issued are tokens whose first letters say who issued them.
	issued = regexp.MustCompile(`\b(sk[-_]|rk_|pk_live_|gh[pousr]_|github_pat_|gl[a-z]{2,5}-|xox[a-z]-|xapp-|A[KS]IA[0-9A-Z]{8}|AIza|` +
		`ya29\.|eyJ[A-Za-z0-9_-]{8,}\.|ntn_|secret_|tvly-|lf_|pplx-|hf_|r8_|gsk_|fc-|figd_|lin_(api|oauth)_|ATATT|` +
		`dckr_pat_|npm_|pypi-|SG\.|sntrys_|dop_v1_|PMAK-|shp(at|ca|pa|ss)_|whsec_|dapi[0-9a-f]|sbp_|vercel_|ctx7sk-|` +
		`glsa_|nvapi-|xai-|BSA|phx_|phc_|apify_api_|e2b_|re_[A-Za-z0-9]{6})[A-Za-z0-9._+/=-]{4,}`)
	telegramBot = regexp.MustCompile(`\b\d{8,10}:[A-Za-z0-9_-]{30,}`)
	privateKey  = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*`)
	uuid        = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	// base64s can have slashes in them, and do not begin with one as a path does.
	base64s = regexp.MustCompile(`(?:^|\b)[A-Za-z0-9+][A-Za-z0-9+/]{30,}={0,2}`)
	// words are what can be one token: what stands between spaces, quotes, and the marks of URLs
	// and lists.
	words = regexp.MustCompile(`[A-Za-z0-9_+\-.~]+={0,2}`)
)

// harmlessHeaders are those whose values are never secrets.
var harmlessHeaders = []string{"accept", "accept-encoding", "accept-language", "cache-control", "connection",
	"content-type", "host", "mcp-protocol-version", "origin", "referer", "user-agent"}

// secretName reports whether a name stands for a secret.
func secretName(name string) bool {
	var parts []string // the words of snake_case, kebab-case and camelCase
	word := []rune{}
	last := 'a'
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) || unicode.IsUpper(r) && unicode.IsLower(last) {
			parts, word = append(parts, string(word)), word[:0]
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			word = append(word, r)
		}
		last = r
	}
	parts = append(parts, string(word))
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	if len(parts) == 0 {
		return false
	}
	if end := parts[len(parts)-1]; harmlessName.MatchString(end) && !secretWord.MatchString(end) {
		return false
	}
	return slices.ContainsFunc(parts, secretWord.MatchString) || secretWord.MatchString(strings.Join(parts, ""))
}

// secretHeader reports whether a header's value is taken out.
func secretHeader(name, value string) bool {
	return secretName(name) ||
		len(value) > 5 && !slices.Contains(harmlessHeaders, strings.ToLower(name)) &&
			!strings.HasSuffix(strings.ToLower(name), "-version")
}

// random reports whether a word looks like one that nobody made up: a UUID, 16 digits of a number
// in hexadecimal, or letters and digits that change more often than in names, versions and paths.
func random(word string) bool {
	if uuid.MatchString(word) {
		return true
	}
	word = strings.TrimRight(word, "=")
	for part := range strings.FieldsFuncSeq(word, func(r rune) bool { return strings.ContainsRune("-_.~", r) }) {
		if randomPart(part) {
			return true
		}
	}
	return randomPart(strings.NewReplacer("-", "", "_", "").Replace(word)) && strings.ContainsAny(word, "0123456789") &&
		strings.IndexFunc(word, unicode.IsUpper) >= 0
}

func randomPart(s string) bool {
	if len(s) < 12 {
		return false
	}
	class := func(r byte) int {
		switch {
		case r >= '0' && r <= '9':
			return 1
		case r >= 'A' && r <= 'Z':
			return 2
		}
		return 3
	}
	changes, digits, hex := 0, 0, true
	for i := range len(s) {
		if class(s[i]) == 1 {
			digits++
		}
		hex = hex && strings.IndexByte("0123456789abcdefABCDEF", s[i]) >= 0
		if i > 0 && class(s[i]) != class(s[i-1]) {
			changes++
		}
	}
	return hex && len(s) >= 16 && digits > 0 && digits < len(s) ||
		changes*10 >= len(s)*3 || digits > 0 && len(s) >= 20 && changes >= 4
}
