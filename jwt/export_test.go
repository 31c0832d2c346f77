package jwt

// NormalTarget is how the URLs of proofs are compared.
func NormalTarget(s string) (string, bool) { return normalTarget(withoutQuery(s)) }
