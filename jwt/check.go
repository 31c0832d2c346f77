package jwt

import "time"

func (v *Verifier) checkClaims(c *Claims) error {
	if err := v.checkIssuer(c); err != nil {
		return err
	}
	if err := v.checkAudience(c); err != nil {
		return err
	}
	if err := v.checkRequired(c); err != nil {
		return err
	}
	now := v.config.Now()
	if err := v.checkExpiry(c, now); err != nil {
		return err
	}
	if err := v.checkNotBefore(c, now); err != nil {
		return err
	}
	if err := v.checkIssued(c, now); err != nil {
		return err
	}
	return v.checkProfile(c)
}

func (v *Verifier) checkIssuer(c *Claims) error {
	switch {
	case v.config.Profile.embedded || c.Issuer == v.config.Issuer:
		return nil
	case c.Issuer == "":
		return &Error{Reason: ReasonMissingClaim, Detail: "iss"}
	}
	return &Error{Reason: ReasonWrongIssuer}
}

func (v *Verifier) checkAudience(c *Claims) error {
	if v.config.Profile.embedded || v.config.InsecureNoAudience {
		return nil
	}
	for _, name := range c.Audience {
		if contains(v.config.Audience, name) {
			return nil
		}
	}
	if len(c.Audience) == 0 {
		return &Error{Reason: ReasonMissingClaim, Detail: "aud"}
	}
	return &Error{Reason: ReasonWrongAudience}
}

func (v *Verifier) checkRequired(c *Claims) error {
	if c.present&v.required != v.required {
		for _, name := range append([]string{"iat"}, v.config.Profile.Required...) {
			if bit := claimBit(name); v.required&bit&^c.present != 0 {
				return &Error{Reason: ReasonMissingClaim, Detail: name}
			}
		}
	}
	for _, name := range v.others {
		if !c.Has(name) {
			return &Error{Reason: ReasonMissingClaim, Detail: name}
		}
	}
	return nil
}

// The time checks round against the token: it is valid while
// nbf - leeway <= now < exp + leeway (RFC 7519 sections 4.1.4 and 4.1.5).

func (v *Verifier) checkExpiry(c *Claims, now time.Time) error {
	if c.present&bitExp != 0 && !v.config.InsecureAllowExpired && now.Add(-v.config.Leeway).Unix() >= c.ExpiresAt {
		return &Error{Reason: ReasonExpired}
	}
	return nil
}

func (v *Verifier) checkNotBefore(c *Claims, now time.Time) error {
	ahead := max(v.config.Leeway, v.config.FutureLeeway)
	if c.present&bitNbf != 0 && now.Add(ahead).Unix() < c.NotBefore {
		return &Error{Reason: ReasonNotYetValid}
	}
	return nil
}

func (v *Verifier) checkIssued(c *Claims, now time.Time) error {
	if c.present&bitIat == 0 {
		return nil
	}
	if now.Add(v.config.FutureLeeway).Unix() < c.IssuedAt {
		return &Error{Reason: ReasonIssuedInFuture}
	}
	if v.config.MaxAge > 0 && now.Add(-v.config.MaxAge).Unix() > c.IssuedAt {
		return &Error{Reason: ReasonTooOld}
	}
	return nil
}

func (v *Verifier) checkProfile(c *Claims) error {
	if v.config.Profile.check == nil {
		return nil
	}
	return v.config.Profile.check(c, &v.config)
}
