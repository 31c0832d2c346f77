package jwt

import "context"

// Check is the outcome of one check of a token.
type Check struct {
	Name string // form, type, algorithm, signature, issuer, audience, claims, expiry, not_before, issued_at, profile
	Err  error  // nil when the check passed; otherwise as Verify reports it
}

// Explain makes every check that Verify makes and reports each, also after one
// has failed: it is for people who want to know what is wrong with a token. The
// claims are unverified even if all checks pass; programs use Verify. A token
// whose form is wrong has no further checks and a nil result.
func (v *Verifier) Explain(ctx context.Context, token string) (*Unverified, []Check) {
	u, err := Parse(token, v.config.MaxBytes)
	if err != nil {
		return nil, []Check{{"form", err}}
	}
	now := v.config.Now()
	return u, []Check{
		{"form", nil},
		{"type", v.checkType(&u.Header)},
		{"algorithm", v.checkAlgorithm(&u.Header)},
		{"signature", v.explainSignature(ctx, u)},
		{"issuer", v.checkIssuer(&u.Claims)},
		{"audience", v.checkAudience(&u.Claims)},
		{"claims", v.checkRequired(&u.Claims)},
		{"expiry", v.checkExpiry(&u.Claims, now)},
		{"not_before", v.checkNotBefore(&u.Claims, now)},
		{"issued_at", v.checkIssued(&u.Claims, now)},
		{"profile", v.checkProfile(&u.Claims)},
	}
}

func (v *Verifier) explainSignature(ctx context.Context, u *Unverified) error {
	_, err := v.checkSignature(ctx, &u.Header, []byte(u.signed), u.Signature)
	return err
}
